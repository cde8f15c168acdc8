"""Carries labels from frame to frame; knows features and channels, not whether a channel is a mask or a joint."""

from collections import deque

from jaxtyping import Float
from torch import Tensor

from mmssl.functional.affinity import Window, normalize_features, propagate_normalized
from mmssl.functional.affinity_each_frame import propagate_each_frame
from mmssl.propagation.presets import Preset


class Propagator:
    """Takes the frames of a video in order and gives the labels of each; memory does not grow with the video.

    The first frame must come with labels. A later frame may come with labels too: they are then taken as they are, and
    serve the frames after it as context. What is propagated is fed back soft.

    Args:
        preset: Protocol: which frames are context, the windows, the top-k and the temperature.
    """

    def __init__(self, preset: Preset) -> None:
        self.preset = preset
        self._first: tuple[Tensor, Tensor] | None = None
        self._anchors: list[tuple[Tensor, Tensor]] = []
        self._previous: deque[tuple[Tensor, Tensor]] = deque(maxlen=preset.previous_frames)

    def step(
        self, features: Float[Tensor, "dim h w"], labels: Float[Tensor, "channels h w"] | None = None
    ) -> Float[Tensor, "channels h w"]:
        """The labels of the next frame.

        Args:
            features: Of the next frame; normalized here unless the preset takes dot products.
            labels: Where they are known; required for the first frame.

        Returns:
            `labels` where given, else the propagated ones.

        Raises:
            ValueError: If the first frame has no labels, a value is not finite, or a shape differs from the first frame's.
        """
        if self._first is None and labels is None:
            raise ValueError("the first frame needs labels")
        features = self.prepare(features)
        if self._first is not None and features.shape != self._first[0].shape:
            raise ValueError(f"features are {tuple(features.shape)}, the first frame's {tuple(self._first[0].shape)}")
        labels = self.predict(features) if labels is None else labels.detach().float()
        self.remember(features, labels)
        return labels

    def prepare(self, features: Float[Tensor, "dim h w"]) -> Float[Tensor, "dim h w"]:
        """Features as `predict` and `remember` take them: normalized, unless the preset takes dot products."""
        return features.detach().float() if self.preset.each_frame else normalize_features(features[None])[0]

    def predict(
        self, features: Float[Tensor, "dim h w"], *, first_window: Window | None = None
    ) -> Float[Tensor, "channels h w"]:
        """Labels of a frame from those that are remembered; the frame itself is not.

        Args:
            features: Prepared, of the shape of the first frame's.
            first_window: On the first frame and anchors, in place of the preset's.
        """
        assert self._first is not None
        missing = self.preset.previous_frames - len(self._previous) if self.preset.pad_with_first else 0
        previous = [self._first] * missing + list(self._previous)
        context = [self._first, *self._anchors, *previous]
        if self.preset.each_frame:
            return propagate_each_frame(
                features,
                [keys for keys, _ in context],
                [values for _, values in context],
                top_k=self.preset.top_k,
                temperature=self.preset.temperature,
            )
        return propagate_normalized(
            features,
            [keys for keys, _ in context],
            [values for _, values in context],
            windows=[first_window or self.preset.first_window] * (1 + len(self._anchors))
            + [self.preset.window] * len(previous),
            top_k=self.preset.top_k,
            temperature=self.preset.temperature,
        )

    def remember(self, features: Float[Tensor, "dim h w"], labels: Float[Tensor, "channels h w"]) -> None:
        """Takes a frame, with prepared features, as context of the frames after it."""
        if self._first is None:
            self._first = (features, labels)
        else:
            self._previous.append((features, labels))

    def anchor(self, features: Float[Tensor, "dim h w"], labels: Float[Tensor, "channels h w"]) -> None:
        """Takes a labeled frame, with prepared features, as context of all frames to come, as the first one is."""
        self._anchors.append((features, labels))

    @property
    def first(self) -> tuple[Tensor, Tensor]:
        """Features and labels of the first frame."""
        assert self._first is not None
        return self._first

    @property
    def oldest(self) -> tuple[Tensor, Tensor]:
        """Features and labels of the oldest previous frame in memory, or of the first where there is none."""
        return self._previous[0] if self._previous else self.first
