"""The text format of Prometheus: families of samples, written and taken over from an older file."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

_LABEL = r'[a-z_]+="(?:[^"\\]|\\.)*"'
_SAMPLE = re.compile(
    rf"(?P<name>[a-z_]+)(?P<labels>\{{{_LABEL}(?:,{_LABEL})*\}})? (?P<value>-?[0-9]+(?:\.[0-9]+)?)"
)


@dataclass(frozen=True, slots=True)
class Family:
    """Samples of one name; `samples` maps labels, as they stand in the file, to values."""

    name: str
    help: str
    type: str = "gauge"
    samples: Mapping[str, str] = field(default_factory=dict)

    def with_samples(self, samples: Iterable[tuple[Mapping[str, str], float]]) -> "Family":
        """Return the family with these samples, each with its labels and its value."""
        return replace(self, samples={_labels(key): _number(value) for key, value in samples})

    def with_sample(self, labels: Mapping[str, str], value: float) -> "Family":
        """Return the family with one sample more, or another value of that one."""
        return replace(self, samples={**self.samples, _labels(labels): _number(value)})

    @property
    def beginning(self) -> str:
        """How a file begins of which this is the first family."""
        return f"# HELP {self.name} "

    def value(self, labels: Mapping[str, str]) -> float:
        """Return the value of one sample; 0 without it."""
        return float(self.samples.get(_labels(labels), 0))


def text_of(families: Iterable[Family]) -> str:
    """Write families in the text format; one without samples is left out."""
    return "".join(f"{line}\n" for family in families for line in _lines(family))


def samples_of(text: str) -> dict[str, dict[str, str]]:
    """Read the samples of a file by the name of their family; what is none is passed over."""
    found: dict[str, dict[str, str]] = {}
    # Not splitlines(): a name may hold what that takes for the end of a line.
    for line in text.split("\n"):
        sample = _SAMPLE.fullmatch(line)
        if sample is not None:
            found.setdefault(sample["name"], {})[sample["labels"] or ""] = sample["value"]
    return found


def _lines(family: Family) -> Iterator[str]:
    if not family.samples:
        return
    yield f"{family.beginning}{family.help}."
    yield f"# TYPE {family.name} {family.type}"
    for labels, value in family.samples.items():
        yield f"{family.name}{labels} {value}"


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    # Whole milliseconds: microseconds of a time would be lost in a float anyway.
    return f"{value:.3f}".rstrip("0").rstrip(".")
