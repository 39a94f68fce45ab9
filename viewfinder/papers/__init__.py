"""Tables and figures of the papers, each an experiment that can be repeated."""
