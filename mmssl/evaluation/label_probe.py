"""kNN and a linear head that follow a training on a labelled part of its clips; labels never reach the encoder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mmssl.data.dataset import ClipSource
from mmssl.errors import EvaluationError
from mmssl.evaluation.knn import weighted_votes
from mmssl.evaluation.labeled import balanced_part, validation_part
from mmssl.evaluation.linear_probe import standardization
from mmssl.functional.random import ItemRandom
from mmssl.models.encoder import Encoder, encoder_input
from mmssl.models.modes import looking_only

IMAGES_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """Which part of a training's labelled clips it is followed on, and how.

    Args:
        num_train: Clips that vote and that the head learns from, as many of each class.
        num_test: Other clips, of other groups, that are scored, as many of each class. They are the encoder's training
            clips too, so that watching the curves chooses nothing on a test split.
        k: Neighbours that vote.
        temperature: Of their votes.
        passes: Over its clips that the head learns for in each look.
        batch_size: Of the head.
        learning_rate: Of the head's Adam.

    Raises:
        ValueError: If a value is not positive.
    """

    num_train: int = 1000
    num_test: int = 500
    k: int = 20
    temperature: float = 0.07
    passes: int = 5
    batch_size: int = 100
    learning_rate: float = 0.01

    def __post_init__(self) -> None:
        faults = [f"{name} {value}" for name, value in vars(self).items() if value <= 0]
        if faults:
            raise ValueError(f"settings of a probe must be positive, got {', '.join(faults)}")


class LabelProbe:
    """Scores frozen embeddings of some clips' middle frames, with a head that is kept from look to look.

    Args:
        source: The clips of the training; those without a label are left out.
        dim: Length of the encoder's embeddings.
        settings: Which clips, and how.
        seed: Of the choice of clips and the head's order.

    Raises:
        EvaluationError: If fewer than two classes have labelled clips of two groups.
    """

    def __init__(self, source: ClipSource, *, dim: int, settings: ProbeSettings, seed: int) -> None:
        self.settings = settings
        self._source = source
        self._seed = seed
        items = source.items
        places = np.array([place for place, item in enumerate(items) if item.label is not None], dtype=np.int64)
        names, classes = np.unique([str(items[place].label) for place in places], return_inverse=True)
        share = settings.num_test / (settings.num_train + settings.num_test)
        held_out = validation_part(classes, [items[place].group for place in places], share=share, seed=seed)
        usable = len(np.unique(classes[held_out]))
        if usable < 2:
            raise EvaluationError(
                f"a probe needs labelled clips of two groups in each of two classes at least; the {len(items)} clips to "
                f"train on have {len(places)} labels and {usable} such classes; give labels, or set probe_every: 0"
            )
        self.num_classes = len(names)
        ids = [items[place].id for place in places]
        self._train, self._train_classes = _balanced(places, classes, ids, ~held_out, settings.num_train, seed)
        self._test, self._test_classes = _balanced(places, classes, ids, held_out, settings.num_test, seed)
        self._head = nn.utils.skip_init(nn.Linear, dim, len(names))  # type: ignore[no-untyped-call]
        nn.init.zeros_(self._head.weight)
        nn.init.zeros_(self._head.bias)
        self._optimizer = torch.optim.Adam(self._head.parameters(), lr=settings.learning_rate)
        self._looks = 0

    def look(self, encoder: Encoder) -> dict[str, float]:
        """Accuracy of both on the clips kept apart, and of a guess; see `OnlineProbe`."""
        train, test = (self._embed(encoder, places) for places in (self._train, self._test))
        mean, deviation = standardization(train)
        self._teach((train - mean) / deviation)
        with torch.no_grad():
            answers = self._head((test - mean) / deviation).argmax(1).numpy()
        found = {
            "probe_knn": self._by_neighbors(train, test),
            "probe_linear": float((answers == self._test_classes).mean()),
            "probe_chance": 1 / self.num_classes,
        }
        self._looks += 1
        return found

    def state(self) -> dict[str, Tensor]:
        """The head, its optimizer, and the number of looks."""
        state = {f"head/{name}": value for name, value in self._head.state_dict().items()}
        for name, parameter in self._head.named_parameters():
            state |= {f"adam/{name}/{key}": value for key, value in self._optimizer.state.get(parameter, {}).items()}
        return {**state, "looks": torch.tensor(self._looks)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Takes over what `state` gave."""
        self._looks = int(state["looks"])
        self._head.load_state_dict({name: state[f"head/{name}"] for name in self._head.state_dict()})
        for name, parameter in self._head.named_parameters():
            prefix = f"adam/{name}/"
            kept = {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}
            if kept:
                self._optimizer.state[parameter] = kept

    def _embed(self, encoder: Encoder, places: Int[np.ndarray, " clips"]) -> Float[Tensor, "clips dim"]:
        device = next((parameter.device for parameter in encoder.parameters()), torch.device("cpu"))
        parts = []
        with looking_only(encoder):
            for start in range(0, len(places), IMAGES_AT_ONCE):
                clips = self._source.clips(places[start : start + IMAGES_AT_ONCE].tolist())
                frames = encoder_input(clips[:, clips.shape[1] // 2].to(device))
                parts.append(encoder(frames).float().cpu())
        return torch.cat(parts)

    def _by_neighbors(self, train: Float[Tensor, "train dim"], test: Float[Tensor, "test dim"]) -> float:
        similarity = normalize(test, dim=1) @ normalize(train, dim=1).T
        near = similarity.topk(min(self.settings.k, len(train)), dim=1)
        votes = weighted_votes(
            near.values.numpy(),
            self._train_classes[near.indices.numpy()],
            self.num_classes,
            temperature=self.settings.temperature,
        )
        return float((votes.argmax(1) == self._test_classes).mean())

    def _teach(self, features: Float[Tensor, "train dim"]) -> None:
        """A few passes of the head over its clips."""
        targets = torch.from_numpy(self._train_classes)
        for number in range(self.settings.passes):
            random = ItemRandom(self._seed, self._looks * self.settings.passes + number, [0])
            order = random.permutations("order of the probe", len(features))[0]
            for chosen in torch.split(order, self.settings.batch_size):
                with torch.enable_grad():
                    loss = cross_entropy(self._head(features[chosen]), targets[chosen])
                self._optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                self._optimizer.step()


def _balanced(
    places: Int[np.ndarray, " clips"],
    classes: Int[np.ndarray, " clips"],
    ids: Sequence[str],
    kept: Bool[np.ndarray, " clips"],
    count: int,
    seed: int,
) -> tuple[Int[np.ndarray, " chosen"], Int[np.ndarray, " chosen"]]:
    """About `count` of the kept clips, as many of each class, and their classes."""
    allowed = np.flatnonzero(kept).tolist()
    per_class = max(1, count // len(np.unique(classes[allowed])))
    marked = balanced_part(classes[allowed], [ids[place] for place in allowed], per_class=per_class, seed=seed)
    return places[allowed][marked], classes[allowed][marked]
