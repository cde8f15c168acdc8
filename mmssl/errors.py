"""The errors a user can cause. Each message says what was given, what is allowed and what to do."""


class MmsslError(Exception):
    """Base of every error that a user can cause; the command line prints its message and exits with 2."""


class ConfigError(MmsslError):
    """A recipe, an override or a setting is wrong."""


class ManifestError(MmsslError):
    """A manifest cannot be read, or its rows contradict each other."""


class MediaError(MmsslError):
    """A media file cannot be used: missing, empty, of the wrong type, without the stream that was asked for."""


class DecodeError(MediaError):
    """A media file opens but cannot be decoded to what was asked for."""


class ClipStoreError(MmsslError):
    """A clip store is missing, unfinished or damaged, or a clip does not fit into it."""


class CheckpointError(MmsslError):
    """A checkpoint, an encoder reference or a stored table is missing, damaged or of another make."""


class LabelError(MmsslError):
    """Labels for a video do not fit it, or cannot be read."""


class TrainingError(MmsslError):
    """Training cannot go on: a loss that is not finite, too few clips, settings that exclude each other."""


class StageError(MmsslError):
    """A stage of a run cannot do its work: too many rejects, an input folder that is not what it should be."""


class RetrievalError(MmsslError):
    """Embeddings or an index are missing or damaged, or do not fit each other."""


class EvaluationError(MmsslError):
    """A protocol cannot score what it was given: no labels, a group in two splits, nothing to compare with."""


class MmsslWarning(UserWarning):
    """Base of the warnings that the package gives: the work goes on, and something in it is not what one might expect."""
