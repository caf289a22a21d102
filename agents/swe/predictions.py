"""preds.json, the file that the official harness takes: `{instance_id: {model_name_or_path, instance_id, model_patch}}`."""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from surefoot.agents.monitor.readers.files import contents
from surefoot.errors import BadInput
from surefoot.private_files import check_target, open_private, replacement

from .instances import ID

MOST_BYTES = 1 << 30


class Prediction(NamedTuple):
    """What a model, or an agent with it, proposes for one instance."""

    instance_id: str
    model: str
    """`model_name_or_path`; the harness makes a folder's name of it."""
    patch: str | None
    """None and "" are both empty patches to the harness; white space is an error (`patches.emptiness`)."""

    def record(self) -> dict[str, Any]:
        """Return it as the file has it."""
        return {"model_name_or_path": self.model, "instance_id": self.instance_id, "model_patch": self.patch}


def read_predictions(path: str | Path) -> dict[str, Prediction]:
    """Read predictions from a .json, an object by ids or a list, or from a .jsonl; of several for an instance the last counts.

    Raises `BadInput` that names the file and what is wrong with it, `FileNotFoundError` if there is none.
    """
    path = Path(path)
    try:
        held = contents(path, MOST_BYTES)
        data = (
            [json.loads(line) for line in held.split(b"\n") if line.strip()]
            if path.suffix == ".jsonl"
            else json.loads(held)
        )
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except RecursionError:
        raise BadInput(f"{str(path)!r} holds no predictions: it is nested too deeply") from None
    except ValueError as error:
        raise BadInput(f"{str(path)!r} holds no predictions: {error}") from None
    if not isinstance(data, dict | list):
        raise BadInput(f"{str(path)!r} holds no predictions: expected an object or a list")
    rows = data.values() if isinstance(data, dict) else data
    found = [_prediction(row, f"{str(path)!r}, prediction {number}") for number, row in enumerate(rows, 1)]
    if isinstance(data, dict):
        for key, prediction in zip(data, found, strict=True):
            if key != prediction.instance_id:
                raise BadInput(
                    f"{str(path)!r}: the prediction under {key[:80]!r} is of {prediction.instance_id!r}"
                )
    return {prediction.instance_id: prediction for prediction in found}


def merge_predictions(path: str | Path, new: Iterable[Prediction]) -> dict[str, Prediction]:
    """Add predictions to the file, the new ones in the place of the old, and return all; the file changes as a whole or not at all.

    Several processes may do so at a time.  A file that holds no predictions is never written over: `BadInput` names it.
    """
    path = Path(path)
    with _locked(path):
        try:
            found = read_predictions(path)
        except FileNotFoundError:
            found = {}
        except BadInput as error:
            raise BadInput(f"{error}; nothing was written: repair it, or move it away") from None
        found |= {prediction.instance_id: prediction for prediction in new}
        _write(path, found)
    return found


def _write(path: Path, predictions: dict[str, Prediction]) -> None:
    try:
        check_target(path)
        with replacement(path) as file:
            # Sorted: which instance ended first is no part of the result.
            records = {key: predictions[key].record() for key in sorted(predictions)}
            json.dump(records, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be written: {error.strerror or error}") from None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time read, add and write."""
    try:
        file = open_private(path.with_name(f".{path.name}.lock"))
    except OSError as error:
        raise BadInput(f"{str(path)!r} cannot be written: {error.strerror or error}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _prediction(row: Any, place: str) -> Prediction:
    if not isinstance(row, dict):
        raise BadInput(f"{place} is no object")
    instance_id, model, patch = row.get("instance_id"), row.get("model_name_or_path"), row.get("model_patch")
    if not isinstance(instance_id, str) or not ID.fullmatch(instance_id):
        raise BadInput(f"{place} has no 'instance_id' that can be used")
    if not isinstance(model, str):
        raise BadInput(f"{place} ({instance_id!r}): 'model_name_or_path' is missing, or no text")
    if not isinstance(patch, str | None):
        raise BadInput(f"{place} ({instance_id!r}): 'model_patch' is neither text nor null")
    return Prediction(instance_id, model, patch)
