"""The section ``prepare`` of ``params.yaml``."""

from typing import Annotated, Any, Self

from pydantic import model_validator

from pipeline.core.settings import Fraction, Section, file_of


class Split(Section):
    """Shares of the contents that validation and test get; the rest is training."""

    val: Fraction
    test: Fraction

    @model_validator(mode="after")
    def _leaves_training(self) -> Self:
        if self.val + self.test >= 1.0:
            raise ValueError(
                f"val + test is {self.val + self.test:g}, which leaves nothing to train on; lower one of them"
            )
        return self


class PrepareSettings(Section):
    """Which data sets, how they are split, and how many labels are used."""

    dataset: Annotated[str, file_of("preparation.datasets")]
    """A file of ``pipeline/preparation/datasets/``; ``combined`` joins several."""
    options: dict[Annotated[str, file_of("preparation.datasets")], dict[str, Any]]
    """Data set name → that data set's own settings; only the selected one's are read."""
    seed: int
    """Of the split by content and of the choice of labelled contents."""
    split: Split
    labelled_fraction: Fraction
    """Share of the training contents whose MOS may be used; the others keep videos and targets only."""
