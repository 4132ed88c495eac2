"""One line of the validation table.

What belongs here: what a line tells. What does not: measuring (a module per subject).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """What one stage of the reduction was measured at.

    row : the stage
    data : what was injected, with seeds, or which real frames
    reference : what it is compared with: the truth, or a tool and its version
    reference_figure : the reference's figure on the same data; a dash for the truth
    ours : our figure
    required : what the figure has to be
    holds : whether it is that; None where the reference could not be had
    """

    row: str
    data: str
    reference: str
    reference_figure: str
    ours: str
    required: str
    holds: bool | None

    @property
    def missed(self) -> bool:
        """Whether it was compared and does not hold (also where NumPy says so)."""
        return self.holds is not None and not self.holds
