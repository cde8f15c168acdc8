"""Retrieval both ways between the pictures of clips and their sound."""

import torch

from mmssl.evaluation.audio_visual import Moment, embed_moments, hearing, scored_places
from mmssl.evaluation.cross_modal import Kind, both_ways
from mmssl.evaluation.report_row import ReportRow
from mmssl.evaluation.subject import Subject

MOMENT = Moment()
PICTURES = Kind("pictures", "clips' pictures", "clips' pictures")
SOUND = Kind("sound", "clips' sound tracks", "clips' sound tracks")


def audio_visual_retrieval(
    subject: Subject, *, split: str = "test", ks: tuple[int, ...] = (1, 5, 10), moment: Moment = MOMENT
) -> list[ReportRow]:
    """Looks each clip's pictures up by its sound among all clips of a split, and its sound by its pictures.

    Args:
        subject: Its clips have sound beside them, one clip a row is scored, and its encoder is `audio_visual`.
        split: That is scored; all clips where none is of it.
        ks: For which k to give R@k.
        moment: What of a clip is compared.

    Returns:
        R@k and the median rank of the right one, from sound to pictures and from pictures to sound, then what a random
        ranking gives.

    Raises:
        EvaluationError: If the encoder does not hear, there is no sound of its rate beside the clips, or they are too short.

    Source:
        Arandjelovic and Zisserman 2018, arXiv:1712.06651, section 3, with similarities averaged over moments.
    """
    places, scored = scored_places(hearing(subject)[1], split)
    embedded = embed_moments(subject, places, moment)
    similarity = embedded.seen.flatten(1) @ embedded.heard.flatten(1).T / moment.num_moments
    return both_ways(
        subject,
        "audio_visual_retrieval",
        similarity,
        torch.eye(len(places), dtype=torch.bool),
        rows=PICTURES,
        columns=SOUND,
        split=scored,
        ks=ks,
        measure=f"the mean cosine similarity at {moment.in_words}",
    )
