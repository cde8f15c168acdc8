"""Which of some shifts of the sound is that at which it belongs to the pictures?"""

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from mmssl.errors import EvaluationError
from mmssl.evaluation.audio_visual import Moment, embed_moments, hearing, scored_places
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject

MOMENT = Moment()


def time_offset(
    subject: Subject,
    *,
    split: str = "test",
    num_shifts: int = 15,
    step_seconds: float = 0.08,
    moment: Moment = MOMENT,
) -> list[ReportRow]:
    """Shifts the sound of each clip earlier and later and asks at which shift it is most similar to the pictures.

    All shifts are of the same clip and lie within it, so that neither who speaks nor what the place looks like helps, and no
    window is filled up. Clips that are all built alike, such as sentences that begin at the same time, could be answered
    without looking at how things move: the same is asked with the pictures of the next clip in place of the clip's own.

    Args:
        subject: Its clips have sound beside them, one clip a row is scored, and its encoder is `audio_visual`.
        split: That is scored; all clips where none is of it.
        num_shifts: How many shifts there are to choose from, an odd number; the one in the middle is right.
        step_seconds: From one shift to the next.
        moment: What of a clip is compared.

    Returns:
        The share of clips for which the right shift is the most similar, at all moments of a clip together; for which it is
        that or one next to it; the share of single moments for which it is; the first with the next clip's pictures; and what
        guesses give.

    Raises:
        EvaluationError: If `num_shifts` is not odd, the encoder does not hear, there is no sound of its rate beside the clips,
            or they are too short.

    Source:
        Chung and Zisserman 2016, "Out of time: automated lip sync in the wild", doi:10.1007/978-3-319-54427-4_19.
    """
    if num_shifts < 3 or num_shifts % 2 == 0 or step_seconds <= 0:
        raise EvaluationError(
            f"num_shifts is {num_shifts} and step_seconds {step_seconds}; they must be odd and at least 3, and above 0"
        )
    middle = num_shifts // 2
    shifts = [step_seconds * (place - middle) for place in range(num_shifts)]
    places, scored = scored_places(hearing(subject)[1], split)
    seen, heard = embed_moments(subject, places, moment, shifts_seconds=shifts)
    similarity = torch.einsum("cmd,cmsd->cms", seen, heard)
    of_others = torch.einsum("cmd,cmsd->cms", seen.roll(-1, 0), heard)
    off = steps_off(similarity.mean(1))
    if subject.out is not None:
        draw_by_shift(subject.out / "similarity_by_shift.png", shifts, similarity.mean((0, 1)), of_others.mean((0, 1)))
    protocol = (
        f"Which of {num_shifts} shifts of the sound, {step_seconds:g} s apart, is the right one, by the mean cosine similarity "
        f"at {moment.in_words}; equal similarities count as wrong"
    )
    values = {
        "accuracy": (off == 0, 1 / num_shifts, f"{protocol}."),
        "accuracy within one step": (
            off.abs() <= 1,
            3 / num_shifts,
            f"{protocol}; the one before or after is right too.",
        ),
        "accuracy of single moments": (
            steps_off(similarity.flatten(0, 1)) == 0,
            1 / num_shifts,
            f"{protocol}; each moment on its own.",
        ),
        "accuracy with another clip's pictures": (
            steps_off(of_others.mean(1)) == 0,
            1 / num_shifts,
            f"{protocol}; the pictures are those of the next clip, at the same times: what all clips have in common.",
        ),
    }
    rows = []
    for metric, (right, chance, said) in values.items():
        for who, value, how in ((None, float(right.double().mean()), said), ("chance", chance, "A guess.")):
            rows.append(
                subject.row(
                    "time_offset",
                    metric,
                    value,
                    split=scored,
                    num_items=len(places),
                    protocol=how,
                    encoder=who,
                    is_score="another" not in metric,
                )
            )
    return rows


def steps_off(scores: Float[Tensor, "items shifts"]) -> Float[Tensor, " items"]:
    """How many steps the best shift lies behind the middle one; of equally good ones the furthest from it."""
    middle = scores.shape[1] // 2
    steps = torch.arange(scores.shape[1], device=scores.device) - middle
    best = scores >= scores.amax(1, keepdim=True)
    chosen = torch.where(best, steps.abs(), -1).argmax(1)
    return steps[chosen].to(scores.dtype)


def draw_by_shift(
    path: Path, shifts: Sequence[float], own: Float[Tensor, " shifts"], others: Float[Tensor, " shifts"]
) -> None:
    """The mean similarity at each shift, with the clip's own pictures and with another's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(list(shifts), own.tolist(), marker="o", color="#4c78a8", label="the clip's own pictures")
    axes.plot(list(shifts), others.tolist(), marker=".", color="#9d9d9d", label="another clip's pictures")
    axes.axvline(0.0, color="black", linewidth=1, linestyle=":")
    axes.set_xlabel("seconds that the sound is shifted by (dotted: the right one)")
    axes.set_ylabel("mean similarity")
    axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
