"""The small Transformer: what fills a sentence up counts for nothing, order and words count."""

from __future__ import annotations

import pytest
import torch

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.networks.encoders import build_encoder
from viewfinder.networks.places import Stage

SENTENCES = Domain("tokens", (9,), words=30)


def made() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_encoder("transformer", SENTENCES, {"width": 12, "heads": 3})[0]


@pytest.mark.parametrize("training", [True, False])
def test_the_filling_changes_nothing(training: bool) -> None:
    encoder = made().train(training)
    short = torch.tensor([[3, 4, 5, 6], [7, 8, 9, 1]])
    filled = torch.cat([short, torch.full((2, 5), SENTENCES.filling)], dim=1)
    with torch.no_grad():
        torch.testing.assert_close(encoder(filled), encoder(short), rtol=1e-5, atol=1e-6)


def test_words_their_order_and_the_mask_count() -> None:
    encoder = made().eval()
    x = torch.arange(9)[None]
    others = x.clone(), x.flip(1), x.clone()
    others[0][0, 4], others[2][0, 4] = 20, SENTENCES.mask
    with torch.no_grad():
        for other in others:
            assert (encoder(other) - encoder(x)).abs().max() > 1e-4


def test_its_last_stage_has_a_vector_of_each_word_of_which_the_features_are_the_mean() -> None:
    encoder = made()
    stage = Stage.of_features(encoder, SENTENCES)
    assert stage.name == "norm"
    x = torch.arange(18).view(2, 9)
    with stage.read(encoder) as seen:
        features = encoder(x)
    torch.testing.assert_close(seen[0].mean(dim=1), features)


def test_a_width_that_heads_do_not_divide_and_an_encoder_without_places_are_refused() -> None:
    with pytest.raises(UserError, match=r"width=10 is no multiple.*encoder.width=12"):
        build_encoder("transformer", SENTENCES, {"width": 10, "heads": 3})
    with pytest.raises(UserError, match="gives a vector of each of 9 places"):
        Stage.of_features(torch.nn.Sequential(torch.nn.Flatten()), SENTENCES)
