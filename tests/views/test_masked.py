"""Views of sentences: which words are hidden, by what, and what is asked of them."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import Tensor

from viewfinder.core.errors import UserError
from viewfinder.data.domain import Domain
from viewfinder.views.compose import compose
from viewfinder.views.maker import ViewMaker

SENTENCES = Domain("tokens", (12,), words=1000)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sentences(n: int = 4000, least: int = 12) -> Tensor:
    x = torch.randint(0, SENTENCES.words, (n, 12), generator=seeded(7))
    length = torch.randint(least, 13, (n, 1), generator=seeded(8))
    return x.masked_fill(torch.arange(12) >= length, SENTENCES.filling)


def maker(**options: float) -> ViewMaker:
    return compose([{"mask": options}], domain=SENTENCES, split="masked")


def test_of_the_chosen_words_eight_in_ten_are_hidden_one_exchanged_and_one_left() -> None:
    x = sentences()
    seen, wanted = maker()(x, seeded())
    assert seen.dtype == wanted.dtype == torch.int64
    asked = wanted >= 0
    assert torch.equal(wanted[asked], x[asked]) and torch.equal(seen[~asked], x[~asked])
    count = asked.sum()
    # 15 % of 12 words, and the one of the 0.85^12 = 14 % of sentences that would have none
    assert asked.double().mean().item() == pytest.approx(0.15 + 0.85**12 / 12, abs=0.005)
    hidden, same = (seen == SENTENCES.mask) & asked, (seen == x) & asked
    for share, part in ((0.8, hidden), (0.1, same), (0.1, asked & ~hidden & ~same)):
        spread = 4 * (share * (1 - share) / count.item()) ** 0.5
        assert (part.sum() / count).item() == pytest.approx(share, abs=spread + 0.001)
    exchanged = seen[asked & ~hidden & ~same]
    assert exchanged.min() >= 0 and exchanged.max() < SENTENCES.words
    assert len(exchanged.unique()) > 0.3 * len(exchanged)


def test_options_set_the_shares() -> None:
    x = sentences(500)
    seen, wanted = maker(rate=1.0, mask=1.0, random=0.0)(x, seeded())
    assert (seen == SENTENCES.mask).all() and torch.equal(wanted, x)
    seen, wanted = maker(rate=0.5, mask=0.0, random=0.0)(x, seeded())
    assert torch.equal(seen, x)
    assert (wanted >= 0).double().mean().item() == pytest.approx(0.5, abs=0.03)
    with pytest.raises(UserError, match=r"mask_mask=0.8 and mask_random=0.4 are more than all"):
        maker(random=0.4)


@pytest.mark.parametrize("rate", [1e-6, 0.15])
def test_every_sentence_asks_for_a_word_and_none_for_the_filling(rate: float) -> None:
    x = sentences(500, least=1)
    seen, wanted = maker(rate=rate)(x, seeded())
    assert (wanted >= 0).any(dim=1).all()
    filled = x == SENTENCES.filling
    assert (wanted[filled] == -1).all() and torch.equal(seen[filled], x[filled])


def test_queries_are_the_chosen_places_and_their_index_the_word() -> None:
    made, x = maker(), sentences(30, least=2)
    views = made(x, seeded())
    asked, index = made.asked(views), made.index(views, torch.arange(30))
    assert asked is not None and torch.equal(x[asked], index)
    whole = compose(["mask"], domain=SENTENCES)
    assert whole.asked(whole(x)) is None
    assert torch.equal(whole.index(whole(x), torch.arange(30)), torch.arange(30))


def test_the_generator_alone_decides_and_an_evaluation_sees_the_sentence() -> None:
    made, x = maker(), sentences(30)
    first = made(x, seeded(1))
    for again in (made, pickle.loads(pickle.dumps(made))):
        assert all(map(torch.equal, first, again(x, seeded(1))))
    assert not torch.equal(first[0], made(x, seeded(2))[0])
    assert torch.equal(made.frozen(x)["main"], x)
    one = made(x[0], seeded())
    assert one[0].shape == one[1].shape == (12,)


def test_words_of_a_large_vocabulary_keep_their_numbers() -> None:
    """Float32 would take 2^24 + 1 for 2^24."""
    large = Domain("tokens", (3,), words=2**25)
    x = torch.tensor([[2**24, 2**24 + 1, 2**24 + 3]])
    for split in ("draws:1", "masked"):
        made = compose([{"mask": {"mask": 0, "random": 0}}], domain=large, split=split)
        assert torch.equal(made(x, seeded())[0], x)
        assert torch.equal(made.frozen(x)["main"], x)


def test_what_is_no_sentence_and_other_steps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"int64 \(N, 12\) is expected"):
        maker()(torch.rand(3, 12))
    with pytest.raises(ValueError, match=r"int64 \(N, 12\) is expected"):
        maker()(torch.zeros(3, 5, dtype=torch.int64))
    with pytest.raises(ValueError, match="all views are of one batch; 2 were given"):
        maker()([sentences(3), sentences(3)], seeded())
    for steps in ([], ["mask", "mask"]):
        with pytest.raises(UserError, match=r"asks for the words.*views.steps=\[mask\]"):
            compose(steps, domain=SENTENCES, split="masked")
    with pytest.raises(UserError, match="the step flip is for images"):
        compose(["flip"], domain=SENTENCES)
    with pytest.raises(UserError, match="masked is for tokens"):
        compose(["crop"], 16, split="masked")
