"""Carries labels from frame to frame; knows features and channels, not whether a channel is a mask or a joint."""

from collections import deque
from typing import NamedTuple

from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from mmssl.functional.affinity import Window, normalize_features, propagate_normalized
from mmssl.functional.affinity_dilated import propagate_dilated
from mmssl.functional.affinity_each_frame import propagate_each_frame
from mmssl.propagation.point_follower import PointFollower
from mmssl.propagation.presets import Preset

LARGEST_DILATION = 4
"""Of the first look at a frame far away."""


class Remembered(NamedTuple):
    """A frame in memory: its distance from the first one, its prepared features, its labels."""

    place: int
    features: Tensor
    labels: Tensor


class Propagator:
    """Takes the frames of a video in order and gives the labels of each; memory does not grow with the video.

    The first frame must come with labels. A later frame may come with labels too: they are then taken as they are, and
    serve the frames after it as context. What is propagated is fed back soft, unless the preset wants winners alone.

    Args:
        preset: Protocol: which frames are context, the windows, the top-k and the temperature.
        num_competing: Channels, from the first one on, of which a cell has one: the background and the masks; None for all.
            Others are always fed back soft.
        follower: Follows the channels that are points by the pixels of the frames; None for features alone.
    """

    def __init__(
        self, preset: Preset, *, num_competing: int | None = None, follower: PointFollower | None = None
    ) -> None:
        self.preset, self._num_competing, self._follower = preset, num_competing, follower
        self._first: Remembered | None = None
        self._kept: list[Remembered] = []
        self._anchors: list[Remembered] = []
        self._previous: deque[Remembered] = deque(maxlen=preset.previous_frames)
        self._place = 0

    def step(
        self,
        features: Float[Tensor, "dim h w"],
        labels: Float[Tensor, "channels h w"] | None = None,
        *,
        frame: UInt8[Tensor, "3 height width"] | None = None,
    ) -> Float[Tensor, "channels h w"]:
        """The labels of the next frame.

        Args:
            features: Of the next frame; normalized here unless the preset takes dot products.
            labels: Where they are known; required for the first frame.
            frame: The frame at the video's size, for the follower.

        Returns:
            `labels` where given, else the propagated ones.

        Raises:
            ValueError: If the first frame has no labels, a value is not finite, a shape differs from the first frame's, or
                there is a follower and no frame.
        """
        if self._first is None and labels is None:
            raise ValueError("the first frame needs labels")
        if self._follower is not None and frame is None:
            raise ValueError("points are followed by pixels: each step needs the frame itself, too")
        features = self.prepare(features)
        if self._first is not None and features.shape != self._first.features.shape:
            raise ValueError(
                f"features are {tuple(features.shape)}, the first frame's {tuple(self._first.features.shape)}"
            )
        is_given = labels is not None
        labels = self.predict(features) if labels is None else labels.detach().float()
        if self._follower is not None and frame is not None:
            if is_given:
                self._follower.begin(frame, labels)
            else:
                labels = self._follower.step(frame, labels)
        self.remember(features, labels)
        return labels

    def prepare(self, features: Float[Tensor, "dim h w"]) -> Float[Tensor, "dim h w"]:
        """Features as `predict` and `remember` take them: normalized, unless the preset takes dot products."""
        return normalize_features(features[None])[0] if self.preset.rule == "joint" else features.detach().float()

    def predict(
        self, features: Float[Tensor, "dim h w"], *, first_window: Window | None = None
    ) -> Float[Tensor, "channels h w"]:
        """Labels of a frame from those that are remembered; the frame itself is not.

        Args:
            features: Prepared, of the shape of the first frame's.
            first_window: On the first frame and anchors, in place of the preset's, where the preset takes cosine similarity.
        """
        assert self._first is not None
        preset = self.preset
        missing = preset.previous_frames - len(self._previous) if preset.pad_with_first else 0
        recent = list(self._previous)[:: -preset.previous_step][::-1]
        recent_places = {each.place for each in recent}
        lasting = [self._first, *(each for each in self._kept if each.place not in recent_places), *self._anchors]
        context = [*lasting, *[self._first] * missing, *recent]
        keys, values = [each.features for each in context], [each.labels for each in context]
        if preset.rule == "dilated":
            assert preset.window.radius is not None
            return propagate_dilated(
                features,
                keys,
                values,
                dilations=[self._dilation(each) for each in context],
                radius=int(preset.window.radius),
                temperature=preset.temperature,
            )
        assert preset.top_k is not None
        if preset.rule == "each_frame":
            return propagate_each_frame(features, keys, values, top_k=preset.top_k, temperature=preset.temperature)
        return propagate_normalized(
            features,
            keys,
            values,
            windows=[first_window or preset.first_window] * len(lasting)
            + [preset.window] * (len(context) - len(lasting)),
            top_k=preset.top_k,
            temperature=preset.temperature,
        )

    def remember(
        self, features: Float[Tensor, "dim h w"], labels: Float[Tensor, "channels h w"], *, place: int | None = None
    ) -> None:
        """Takes a frame, with prepared features, as context of the frames after it.

        Args:
            features: Of the frame.
            labels: Of the frame.
            place: Its distance from the first one; None for the next.
        """
        place = self._place if place is None else place
        frame = Remembered(place, features, self._fed_back(labels))
        self._place = place + 1
        if self._first is None:
            self._first = frame
            return
        self._previous.append(frame)
        if place in self.preset.kept_frames:
            self._kept.append(frame)

    def anchor(self, features: Float[Tensor, "dim h w"], labels: Float[Tensor, "channels h w"], *, place: int) -> None:
        """Takes a labeled frame, with prepared features, as context of all frames to come, as the first one is."""
        self._anchors.append(Remembered(place, features, self._fed_back(labels)))

    @property
    def first(self) -> tuple[Tensor, Tensor]:
        """Features and labels of the first frame."""
        assert self._first is not None
        return self._first.features, self._first.labels

    @property
    def oldest(self) -> tuple[Tensor, Tensor]:
        """Features and labels of the oldest previous frame in memory, or of the first where there is none."""
        return (self._previous[0].features, self._previous[0].labels) if self._previous else self.first

    def _dilation(self, frame: Remembered) -> int:
        """Of the first look at a frame from the next one; 1 for none."""
        beyond, distance = self.preset.dilate_beyond, abs(self._place - frame.place)
        return 1 if beyond is None or distance <= beyond else min(LARGEST_DILATION, distance // beyond + 1)

    def _fed_back(self, labels: Float[Tensor, "channels h w"]) -> Float[Tensor, "channels h w"]:
        """Labels as the frames after see them: where the preset wants it, the winner of each cell that has any."""
        if not self.preset.is_hard or self._num_competing == 0:
            return labels
        competing = labels[: self._num_competing]
        winners = F.one_hot(competing.argmax(dim=0), len(competing)).permute(2, 0, 1) * (competing.amax(dim=0) > 0)
        hard = labels.clone()
        hard[: self._num_competing] = winners.to(labels)
        return hard
