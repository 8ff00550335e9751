"""A loop's definition, frozen: each attribute path is the key path of the YAML.

What a key may hold follows from its type; `Allowed` says it where the type cannot. Error messages,
`docs/reference-loop-file.md` and `docs/loop.schema.json` are made from these classes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    WithJsonSchema,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from shared.domain.caller import ACTING_ROLE
from shared.loopfile.contract import Rule
from shared.loopfile.signal import Signal
from shared.loopfile.value_kinds import (
    COLUMN_KIND_WORDS,
    Allowed,
    Checks,
    ClassName,
    Column,
    ColumnKind,
    Columns,
    Confidence,
    Count,
    Duration,
    EnvironmentName,
    File,
    FileName,
    Name,
    NotNegative,
    Place,
    Positive,
    QuietTime,
    Schedule,
    Section,
    ServedWindow,
    Share,
    Url,
    distinct,
    rising,
)

# --- data ----------------------------------------------------------------------------------------


class Holdout(Section):
    by: Literal["hash", "time", "group"] = "hash"
    """How rows are held out: by a stable hash of the features, the newest, or whole groups."""
    fraction: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """Share of the rows that no training sees."""
    column: Column | None = None
    """The time or group column; required for time and group."""


class Window(Section):
    """Which versions a training gets. Written as all, newest, since_breach, {last: n} or {days: n}."""

    kind: Literal["all", "newest", "since_breach", "last", "days"] = "all"
    n: Annotated[int, Field(ge=0)] = 0

    @model_serializer
    def _as_written(self) -> str | dict[str, int]:
        return {self.kind: self.n} if self.kind in ("last", "days") else self.kind


_PLAIN_WINDOWS = ("all", "newest", "since_breach")


def _window(value: object) -> object:
    if isinstance(value, Window):
        return value
    if value in _PLAIN_WINDOWS:
        return Window.model_validate({"kind": value})
    if isinstance(value, Mapping) and len(value) == 1:
        kind, n = next(iter(value.items()))
        if kind in ("last", "days") and isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= 10_000:
            return Window.model_validate({"kind": kind, "n": n})
    raise ValueError("not a window")


_N = {"type": "integer", "minimum": 1, "maximum": 10_000}
_WINDOW_SCHEMA = {
    "anyOf": [
        {"enum": [*_PLAIN_WINDOWS]},
        *(
            {"type": "object", "properties": {kind: _N}, "required": [kind], "additionalProperties": False}
            for kind in ("last", "days")
        ),
    ]
}


MOST_READING_S = 240.0
"""Of one download or one drop: half of what a function has for all that it does."""


class Source(Section):
    url: Url
    """Where a drop is downloaded from; {date}, {since} and names of `values` may stand behind its host."""
    values: Annotated[Mapping[Name, str], Allowed("names with texts, for example {symbol: MSFT}")] = Field(
        default_factory=dict
    )
    """What stands in the address for a name, such as {symbol}."""
    every: Schedule
    """When it is downloaded."""
    records: Annotated[str, Allowed("dotted keys, for example data.prices")] = ""
    """Where in a JSON answer the list of rows is."""
    timeout: Duration = timedelta(minutes=2)
    """How long one download may take; 240s at most."""


class Limits(Section):
    max_size_mb: Positive = 1024
    """Largest size of a drop, before and after decompression."""
    max_rows: Count = 50_000_000
    """Most rows of a drop."""
    max_columns: Count = 2_000
    """Most columns."""
    max_field_kb: Positive = 1024
    """Longest single value."""
    memory_mb: Annotated[int, Field(ge=256)] = 1536
    """Memory of the process that reads a drop."""
    seconds: Positive = 180
    """Time that reading a drop may take; 240 at most."""


class Spark(Section):
    instance_type: Literal[
        "Standard_E4s_v3", "Standard_E8s_v3", "Standard_E16s_v3", "Standard_E32s_v3", "Standard_E64s_v3"
    ] = "Standard_E4s_v3"
    """The machines of the job that reads a drop: one that plans, and `executors`; a larger one has more of both."""
    executors: Annotated[int, Field(ge=1, le=64)] = 1
    """How many machines read, each as many spans of the drop at once as it has cores."""
    max_size_gb: Positive = 100
    """Largest size of a drop that a job reads, before and after decompression."""
    timeout: Duration = timedelta(hours=6)
    """After this a job is cancelled and counts as failed."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """How often a drop is tried whose job fails."""
    compute_per_day: Duration = timedelta(hours=24)
    """No job begins after those of the last 24 hours took this long; the drop waits."""

    @property
    def cores(self) -> int:
        """Of each machine."""
        return int(self.instance_type.removeprefix("Standard_E").removesuffix("s_v3"))

    @property
    def memory_mb(self) -> int:
        """Of what reads on a machine: four of the seven GB that each core of it has."""
        return 4096 * self.cores


class OrFile:
    """For editors: a loop file may name a file instead, which is read when the loop file is."""

    def __get_pydantic_json_schema__(
        self, inner: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"anyOf": [handler(inner), {"type": "string"}]}


class Origin(Section):
    column: Column
    """Says where a row's label comes from, in drops and in label files. It is no feature."""
    own: Annotated[
        tuple[ClassName, ...],
        Field(min_length=1),
        AfterValidator(distinct),
        Allowed('a list of values of that column, for example ["model"]'),
    ] = ("model",)
    """Its values that mean a prediction of this loop's own model: such a label counts as none."""
    unknown: Literal["leave_out", "train"] = "leave_out"
    """What becomes of a label without an origin."""


class Complete(Section):
    quiet: QuietTime | None = None
    """A folder is complete once nothing has landed in it for so long; `_SUCCESS` ends it at once."""
    manifest: FileName | None = None
    """A folder is complete once a file of this name has landed in it, and every file that it names."""
    wait: Duration = timedelta(hours=1)
    """How long after their manifest files may land that it names."""


class Data(Section):
    landing: Place
    """Where drops land."""
    target: Column
    """The column that the model predicts."""
    task: Literal["auto", "classification", "regression"] = "auto"
    """Whether the target says classes or a number. auto: as the first labelled version shows."""
    id: Column | None = None
    """Identifies a row; joins late labels with predictions."""
    time: Column | None = None
    """When a row happened. Gives a version's start and end; not tested for drift, because time always moves."""
    ignore: Columns = ()
    """Columns that are neither features nor tested for drift."""
    columns: Annotated[
        Mapping[Name, ColumnKind], Allowed(f"names of columns, each with {COLUMN_KIND_WORDS}")
    ] = Field(default_factory=dict)
    """What columns are, where their values do not show it."""
    nulls: Annotated[
        tuple[ClassName, ...],
        AfterValidator(distinct),
        Allowed('a list of texts, for example ["-999", "not asked"]'),
    ] = ()
    """Texts and numbers that mean no value in any column, beside the usual ones."""
    contract: Annotated[
        tuple[Rule, ...],
        Field(max_length=1_000),
        OrFile(),
        Allowed("a list of rules, or a file beside the loop file that holds them"),
    ] = ()
    """Rules that every drop keeps."""
    delta: Literal["snapshot", "appended"] = "snapshot"
    """What a commit of a Delta table is a drop of: the whole table as it is then, or the rows that it added."""
    complete: Complete | None = None
    """When a folder of files is one drop; nothing: when `_SUCCESS` lands in it."""
    origin: Origin | None = None
    """Where labels come from; nothing: every label counts."""
    labels: Place | None = None
    """Where late labels land; they are dropped like data."""
    label_delay: Duration | None = None
    """How long after its prediction a label has come: a verdict on labels is final then. Nothing: learnt."""
    holdout: Holdout = Holdout()
    """Rows that are kept for every later comparison."""
    window: Annotated[
        Window,
        BeforeValidator(_window),
        WithJsonSchema(_WINDOW_SCHEMA),
        Allowed("all, newest, since_breach, {last: n} or {days: n}"),
    ] = Window()
    """Which versions a training gets."""
    source: Source | None = None
    """Downloads drops on a schedule."""
    format: Literal["auto", "csv", "parquet"] = "auto"
    """auto: detected from the content."""
    limits: Limits = Limits()
    """What a drop may cost that the app reads."""
    reader: Literal["auto", "function", "spark"] = "auto"
    """What reads a drop. auto: the app, and a Spark job of Azure ML what is beyond `data.limits`."""
    spark: Spark = Spark()
    """What a drop may cost that a job reads."""

    @property
    def left_out(self) -> tuple[str, ...]:
        """Columns that are ignored, whether `ignore` or `columns` says so, and the one that has the labels' origins."""
        said = (name for name, kind in self.columns.items() if kind == "ignore")
        return tuple(dict.fromkeys((*self.ignore, *said, *((self.origin.column,) if self.origin else ()))))


# --- train and serve -----------------------------------------------------------------------------

EnvironmentKey = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$"),
    Allowed("the name of one of the environments"),
]

Parameter = Annotated[
    str,
    BeforeValidator(lambda value: json.dumps(value) if isinstance(value, bool | int | float) else value),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]


class Train(Section):
    pipeline: File
    """An Azure ML pipeline: a training folder in, a model out."""
    compute: Annotated[
        str | None,
        StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{1,31}$"),
        Allowed("the name of a compute target"),
    ] = None
    """Where jobs run; nothing: serverless."""
    idle_nodes: Literal["refuse", "allow"] = "refuse"
    """Whether `train.compute` may be a cluster that keeps nodes when it is idle: they are paid for all the time."""
    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """How often a failed training is tried."""
    parameters: Annotated[Mapping[str, Parameter], Allowed("names with texts or numbers")] = Field(
        default_factory=dict
    )
    """Inputs of the pipeline besides the data."""
    timeout: Duration = timedelta(hours=6)
    """After this a job is cancelled and counts as failed."""
    only_in: EnvironmentKey | None = None
    """The environment that trains; the others release what is promoted from it. Nothing: each trains its own."""


class Autoscale(Section):
    min: Annotated[int, Field(ge=1, le=50)] = 1
    """Fewest machines."""
    max: Annotated[int, Field(ge=1, le=50)] = 3
    """Most machines."""
    cpu_above: Annotated[float, Field(gt=0, lt=100)] = 70
    """One more machine when they are busier than this on average, in per cent of their processors."""
    cpu_below: Annotated[float, Field(gt=0, lt=100)] = 30
    """One fewer when they are less busy."""
    minutes: Annotated[int, Field(ge=5, le=720)] = 5
    """Over how long the average is taken, and how long it rests after a change."""


class Serve(Section):
    type: Literal["online", "batch"] = "online"
    """online: requests are answered. batch: files are scored by jobs, and a call gets the default deployment."""
    endpoint: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]$"),
        Allowed("3 to 32 letters, digits and hyphens, a letter first"),
    ]
    """The online endpoint, or the batch endpoint; it stays the same while a model serves on it."""
    scoring: Annotated[File | None, Allowed("a folder beside the loop file")] = None
    """Scoring code; nothing for an MLflow model."""
    environment: EnvironmentName | None = None
    """What the scoring code runs in."""
    compute: Annotated[Name | None, Allowed("a compute cluster of the workspace")] = None
    """Of a batch endpoint: where its jobs run."""
    instance_type: Annotated[Name, Allowed("an Azure VM size")] = "Standard_DS3_v2"
    """The machine of a deployment."""
    instance_count: Count = 1
    """How many machines serve a deployment, or score one call of a batch endpoint."""
    autoscale: Autoscale | None = None
    """How many machines serve a deployment, by how busy they are; instead of instance_count."""

    @property
    def machines(self) -> tuple[int, int]:
        """Fewest and most of a deployment."""
        fixed = (self.instance_count, self.instance_count)
        return (self.autoscale.min, self.autoscale.max) if self.autoscale else fixed


# --- drift and metric ----------------------------------------------------------------------------


class ColumnMaterial(Section):
    effect: Positive | None = None
    """Of a number in standard deviations, of a category or text as the share of rows; nothing: as of all columns."""
    ratio: Annotated[float | None, Field(gt=1)] = None
    """Of something rare; nothing: as of all columns."""
    nulls: Positive | None = None
    """Change of the share of nulls; 1 leaves it out. Nothing: as of all columns."""
    range: Positive | None = None
    """Share of rows outside the range of the reference; 1 leaves it out. Nothing: as of all columns."""
    weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """A column of half the weight needs twice the effect to matter; at 0 it is tested and shown, and never matters."""
    tests: Annotated[
        tuple[
            Literal[
                "location",
                "scale",
                "ks",
                "bins",
                "tails",
                "chi_square",
                "category",
                "new",
                "unseen",
                "nulls",
            ],
            ...,
        ],
        AfterValidator(distinct),
        Allowed("a list of location, scale, ks, bins, tails, chi_square, category, new, unseen and nulls"),
    ] = ()
    """Tests by which the column is judged; empty: all of its kind."""


class Material(Section):
    numeric: Positive = 0.1
    """In standard deviations of the reference."""
    categorical: Positive = 0.1
    """As total variation distance: the share of rows that would have to change their category."""
    ratio: Annotated[float, Field(gt=1)] = 2.0
    """By what factor the odds of something rare (1 to 50 % of rows) rise or fall."""
    nulls: Positive = 0.05
    """Change of the share of nulls."""
    range: Positive = 0.01
    """Share of rows outside the range of the reference."""
    correlation: Positive = 0.1
    """Change of a rank correlation between two columns."""
    columns: Annotated[
        Mapping[Name, ColumnMaterial],
        Allowed("names of columns, each with what differs, for example {age: {effect: 0.5}}"),
    ] = Field(default_factory=dict)
    """Tolerances of single columns."""


class DriftReference(Section):
    """What a drop is compared with. Written as champion, {version: n}, {last: n} or {same_season: n}."""

    kind: Literal["champion", "version", "last", "same_season"] = "champion"
    n: Annotated[int, Field(ge=0)] = 0

    @model_serializer
    def _as_written(self) -> str | dict[str, int]:
        return self.kind if self.kind == "champion" else {self.kind: self.n}


def _reference(value: object) -> object:
    if value == "champion":
        return DriftReference()
    if isinstance(value, Mapping) and len(value) == 1:
        kind, n = next(iter(value.items()))
        least, most = _BOUNDS.get(kind, (1, 0))
        if isinstance(n, int) and not isinstance(n, bool) and least <= n <= most:
            return DriftReference.model_validate({"kind": kind, "n": n})
    if isinstance(value, DriftReference):
        return value
    raise ValueError("not a reference")


_BOUNDS = {"version": (1, 1_000_000), "last": (1, 60), "same_season": (4, 60)}
_REFERENCE_SCHEMA = {
    "anyOf": [
        {"enum": ["champion"]},
        *(
            {
                "type": "object",
                "properties": {kind: {"type": "integer", "minimum": least, "maximum": most}},
                "required": [kind],
                "additionalProperties": False,
            }
            for kind, (least, most) in _BOUNDS.items()
        ),
    ]
}


class Persistence(Section):
    breaches: Count = 1
    """Drift counts after this many breaches ..."""
    of: Count = 1
    """... in the last so many versions since the last retraining."""


class Returns(Section):
    columns: Annotated[Columns, Field(min_length=1)]
    """Compared by log returns from row to row, not by level."""
    by: Column | None = None
    """Rows with the same value are one series, for example a share."""


class Drift(Section):
    enabled: bool = True
    """Whether versions are compared with the reference."""
    false_alarm_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.01
    """Of the whole report, per version, where rows do not depend on each other."""
    reference: Annotated[
        DriftReference,
        BeforeValidator(_reference),
        WithJsonSchema(_REFERENCE_SCHEMA),
        Allowed("champion, {version: n}, {last: n} or {same_season: n}; the n of these two up to 60"),
    ] = DriftReference()
    """champion, version: tests of rows, where rows do not depend on each other; else the rank among the loop's past."""
    unusual_rate: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of quiet drops that may alarm where a drop is ranked among the loop's past."""
    cluster: Column | None = None
    """Rows with the same value belong together, for example one customer's: one row of each is compared."""
    material: Material = Material()
    """Smallest effect that matters."""
    columns: Columns = ()
    """Only these are tested; empty: every feature."""
    vectors: Annotated[
        Mapping[Name, Annotated[tuple[Name, ...], Field(min_length=1)]],
        Allowed('names, each with patterns of columns, for example {embedding: ["e_*"]}'),
    ] = Field(default_factory=dict)
    """Columns of numbers that are one thing together, such as an embedding: judged by one multivariate test."""
    returns: Returns | None = None
    """For time series whose level wanders, such as prices."""
    checks: Checks = ()
    """Functions of checks.py that compare each drop with the rows that the champion was trained on."""
    persistence: Persistence = Persistence()
    """How lasting drift must be."""
    predictions: ServedWindow | None = None
    """How often live predictions are compared with those of the gate; nothing: never."""
    served: ServedWindow | None = None
    """Window in which served inputs are compared with the champion's training data; nothing: they are not."""


_METRICS = (
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "f1_weighted",
    "precision_macro",
    "recall_macro",
    "roc_auc",
    "average_precision",
    "log_loss",
    "mae",
    "rmse",
    "mape",
    "r2",
    "cost",
)
_OWN_NAME = r"^metrics\.[A-Za-z_][A-Za-z0-9_]{0,60}$"


def _metric_name(value: str) -> str:
    if value not in _METRICS and not re.fullmatch(_OWN_NAME, value):
        raise ValueError("no metric")
    return value


MetricName = Annotated[
    str,
    AfterValidator(_metric_name),
    WithJsonSchema({"anyOf": [{"enum": list(_METRICS)}, {"type": "string", "pattern": _OWN_NAME}]}),
    Allowed(f"{', '.join(_METRICS)}, or metrics.NAME for a function of metrics.py beside the loop file"),
]


class Metric(Section):
    name: MetricName
    """What is measured."""
    positive: ClassName | None = None
    """The class that roc_auc and average_precision look for; a function of metrics.py gets its probability."""
    costs: Annotated[
        Mapping[ClassName, Mapping[ClassName, float]],
        Allowed("for each class of data.target, what it costs to answer with another class"),
    ] = Field(default_factory=dict)
    """Of cost, and of a function of metrics.py with range: truth, then answer. A right answer costs 0 if not given."""
    better: Literal["higher", "lower"] | None = None
    """Of a function of metrics.py: which direction is better."""
    range: Annotated[
        tuple[float, ...] | None,
        Field(min_length=2, max_length=2),
        Allowed("two numbers, the least and the most of a row"),
    ] = None
    """Of a function of metrics.py that answers one number a row: what one row can come to."""
    at_least: float | None = None
    """A breach when it is significantly lower."""
    at_most: float | None = None
    """A breach when it is significantly higher."""
    worse_by: Annotated[float | None, Field(ge=0)] = None
    """A breach when it is significantly worse, by more than this, than the live model was, at its gate and since."""
    confidence: Confidence = 0.95
    """Of the interval."""
    estimate: bool = False
    """Whether it is estimated on each window of served inputs, before labels come (drift.served)."""
    sample: Annotated[int, Field(ge=10, le=20_000)] = 1000
    """Rows that the champion is asked to predict: a random sample of the version's labelled rows."""

    @property
    def is_judged(self) -> bool:
        """Whether anything is a breach."""
        return self.threshold is not None or self.worse_by is not None

    @property
    def threshold(self) -> float | None:
        """The number that is given; None: none is."""
        return self.at_least if self.at_least is not None else self.at_most


# --- retraining ----------------------------------------------------------------------------------


class Budget(Section):
    runs_per_day: Count = 4
    """Most releases that start in 24 hours."""
    compute_per_day: Duration | None = None
    """No release starts after jobs took this long in 24 hours; a running one is finished."""
    money_per_day: Positive | None = None
    """No release starts that, as estimated, takes a day of UTC beyond this; in `cost.currency`."""
    money_per_month: Positive | None = None
    """The same of a calendar month."""


class Breaker(Section):
    failed: Count = 5
    """So many releases in a row that did not go live, and the next one waits a day, then two, four, and so on."""
    unhelped: Count = 3
    """So many in a row that went live and did not help, and drift and metric wait as long."""
    longest_rest: Duration = timedelta(days=32)
    """The longest of these waits."""


Reason = Literal["drift", "metric", "schedule", "alert", "served", "estimate"]


class Retrain(Section):
    on: Annotated[
        tuple[Reason, ...],
        AfterValidator(distinct),
        Allowed("a list of drift, metric, schedule, alert, served and estimate"),
    ] = ("drift", "metric", "schedule", "alert")
    """What may start a release automatically."""
    schedule: Schedule | None = None
    """When a release is requested."""
    alerts: Annotated[tuple[Name, ...], Allowed('a list of patterns, for example ["penguins-*"]')] = ()
    """Alert rules that request a release."""
    max_age: Duration | None = None
    """A champion older than this requests a release."""
    new_data: Positive | None = None
    """Labelled rows that have landed since the newest training, as a multiple of its own, that request a release."""
    cooldown: Duration = timedelta(hours=6)
    """No release starts for this long after one has ended."""
    budget: Budget = Budget()
    """What retraining may cost."""
    breaker: Breaker = Breaker()
    """When a loop rests that tries in vain."""


class Cost(Section):
    node: Annotated[Name, Allowed("an Azure VM size")] = "Standard_DS3_v2"
    """The machine on which jobs run, for what they cost; serverless compute is billed as the machine that it takes."""
    nodes: Count = 1
    """How many of them a job uses at once."""
    prices: Annotated[
        Mapping[Name, NotNegative],
        Allowed("VM sizes, each with the price of an hour, for example {Standard_DS3_v2: 0.2}"),
    ] = Field(default_factory=dict)
    """They win over the built-in list prices of East US (shared/loopfile/prices.py)."""
    currency: Annotated[
        str, StringConstraints(pattern=r"^[A-Z]{3}$"), Allowed("three capitals, for example EUR")
    ] = "USD"
    """What prices and budgets are in; the built-in list holds for USD alone."""


# --- models of others ---------------------------------------------------------------------------


class Models(Section):
    name: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$"),
        Allowed("the name of registered models"),
    ]
    """Each version that is registered under it requests a release."""
    tags: Annotated[Mapping[Name, str], Allowed("names with texts, for example {stage: approved}")] = Field(
        default_factory=dict
    )
    """Tags that the version must bear."""

    def asks_for(self, name: str, tags: Mapping[str, str]) -> bool:
        return name.casefold() == self.name.casefold() and self.tags.items() <= tags.items()


# --- gate and canary -----------------------------------------------------------------------------


class Slices(Section):
    by: Annotated[Columns, Field(min_length=1)]
    """Columns whose values make the slices. Drops and windows of served inputs are judged slice by slice as well."""
    floor: float
    """The challenger's metric must reach it in every slice."""
    margin: Positive | None = None
    """How much worse than the champion it may be in a slice; nothing: not compared."""
    min_rows: Count = 30
    """Smaller slices are reported, not tested."""


class Parity(Section):
    by: Annotated[Columns, Field(min_length=1)]
    """Columns whose values make the groups."""
    positive: ClassName
    """The class whose share in each group counts."""
    selection_rate: Share | None = None
    """How far apart groups may be in how many of their rows get it."""
    true_positive_rate: Share | None = None
    """The same of the rows that are of this class."""
    false_positive_rate: Share | None = None
    """The same of the rows that are not."""
    min_rows: Count = 30
    """Groups with fewer rows of the kind are reported, not compared."""

    @property
    def limits(self) -> dict[str, float]:
        named = {
            "selection_rate": self.selection_rate,
            "true_positive_rate": self.true_positive_rate,
            "false_positive_rate": self.false_positive_rate,
        }
        return {name: limit for name, limit in named.items() if limit is not None}


class Gate(Section):
    margin: NotNegative = 0.02
    """How much worse than the champion is still good enough."""
    confidence: Confidence = 0.95
    """Of the comparison."""
    calibration: Share | None = None
    """How far stated probabilities may be off; nothing: reported only."""
    superiority: Literal["auto", True, False] = "auto"
    """Whether the challenger must be better, not only as good. auto: when a metric breach was the trigger."""
    floor: float | None = None
    """The challenger's metric must reach it."""
    slices: Slices | None = None
    """Floors for parts of the data."""
    parity: Parity | None = None
    """Whether groups are treated alike."""
    checks: Annotated[tuple[File, ...], Allowed("a list of files beside the loop file")] = ()
    """Azure ML jobs that must succeed before traffic."""
    functions: Checks = ()
    """Functions of checks.py that compare both models' answers to the same rows: `drift` rejects, `warning` holds."""
    on_inconclusive: Literal["hold", "reject", "promote"] = "hold"
    """When the rows do not decide. hold: until a person does, or newer labelled rows give reason to train again."""


class Step(Section):
    minutes: NotNegative = 15
    """Shortest time of a step."""
    min_requests: Count = 500
    """Fewest requests to the challenger in a step."""
    max_hours: Positive = 24
    """A step that lasts longer has timed out."""


class Margins(Section):
    error_rate: NotNegative = 0.01
    """More errors than the champion, as a share, that are tolerated."""
    latency_ratio: Annotated[float, Field(ge=1)] = 1.25
    """The champion's latency times this is still good enough."""
    latency_floor_ms: NotNegative = 50
    """Nothing faster than this counts as slow."""
    prediction_shift: Annotated[float | None, Field(gt=0, le=1)] = None
    """Largest change of a class's (or a band's) share; nothing: reported only, as a retrained model may differ."""
    shadow_disagreement: Share | None = None
    """Share of the champion's requests that may be answered otherwise; nothing: reported only."""
    label_error: Annotated[float | None, Field(gt=0, le=1)] = 0.05
    """More wrong answers (or, relatively, greater errors) as labels come in; needs data.labels."""


class Canary(Section):
    steps: Annotated[
        tuple[int, ...],
        AfterValidator(rising),
        Allowed("rising whole percentages between 1 and 99, for example [10, 50]"),
    ] = (10, 50)
    """The challenger's share of traffic."""
    drops: Count = 1
    """Of a batch endpoint, in place of steps: on how many versions both models are compared, the newest one first."""
    step: Step = Step()
    """How long a step lasts."""
    instances: Count | None = None
    """Fewest machines of a challenger, which gets more with its share. Nothing: `serve.instance_count` at once."""
    unit: Literal["request", "identity", "client_id"] = "request"
    """What counts once in a step. request: each request. identity, client_id: each caller, with its first request."""
    false_rollback_rate: Share = 0.01
    """Of a canary that is as good as the champion, however often it is checked."""
    margins: Margins = Margins()
    """What is still as good."""
    signals: Annotated[
        tuple[Signal, ...], Field(max_length=5), Allowed("a list of up to 5 signals, each with a name")
    ] = ()
    """What is asked outside at each look of a step."""
    approval: Literal["none", "before_canary", "before_promotion"] = "none"
    """Where a person must approve."""
    on_timeout: Literal["hold", "promote", "roll_back"] = "roll_back"
    """When a step's evidence does not arrive in `step.max_hours`; roll_back: a bake's as well."""
    bake_minutes: NotNegative = 30
    """How long the old deployment is kept warm after promotion."""
    bake_labels: Literal["none", "some", "final"] = "none"
    """Labels of the last step that a bake does not end without: some, or as many as come (`data.label_delay`)."""


# --- people --------------------------------------------------------------------------------------

Roles = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[^\s.]\S{0,119}$")], ...],
    AfterValidator(distinct),
    Allowed('a list of app roles or object ids of groups, for example ["Driftloop.Act.birds"]'),
]
"""An app role's value has at most 120 characters, no blanks, and no dot at its beginning:
https://learn.microsoft.com/graph/api/resources/approle"""


class People(Section):
    act: Annotated[Roles, Field(min_length=1)] = (ACTING_ROLE,)
    """App roles, or groups by object id, that may ask for everything but what `approve` keeps for itself."""
    approve: Roles = ()
    """Those of release managers: they alone approve and skip; they also pause, abort and roll back. Empty: `act`."""
    two_persons: bool = False
    """Whether two persons must approve or skip."""
    not_the_publisher: bool = True
    """Whether who published what a release runs with is kept from approving or skipping it."""


# --- environments --------------------------------------------------------------------------------

Environments = Annotated[
    Mapping[EnvironmentKey, Mapping[str, object]],
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "object"}}),
    Allowed("names of environments, each with keys that differ, for example {test: {gate: {margin: 0.05}}}"),
]


class Definition(Section):
    """One loop, as its file describes it."""

    loop: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$"),
        Allowed("3 to 32 lower-case letters, digits and hyphens, a letter first"),
    ]
    """The loop's name."""
    description: str = ""
    """For people."""
    mode: Literal["act", "observe"] = "act"
    """observe: everything but spend and shift; what would have started is in the ledger, and an open release stands."""
    data: Data
    """What is dropped, and how it is read."""
    train: Train
    """How a model is made."""
    serve: Serve
    """Where a model serves."""
    drift: Drift = Drift()
    """When data have drifted."""
    metric: Metric | None = None
    """What the live model must reach."""
    retrain: Retrain = Retrain()
    """When a release starts."""
    cost: Cost = Cost()
    """What machines cost."""
    models: Models | None = None
    """Models that somebody else trains and registers, and that are released by themselves; nothing: none."""
    gate: Gate = Gate()
    """The comparison at 0 % traffic."""
    canary: Canary = Canary()
    """The comparison under live traffic."""
    people: People | None = None
    """Who may act; nothing: whoever has the app role Driftloop.Act, and whoever may write to the queue."""
    environments: Environments = Field(default_factory=dict)
    """What differs between deployments of Driftloop. Each key is as it stands above; what is not here is the same."""

    @property
    def slices(self) -> tuple[str, ...]:
        """Columns by whose values drift is judged as well: those of gate.slices that are features."""
        hidden = {self.data.target, self.data.id, *self.data.left_out}
        return tuple(name for name in (self.gate.slices.by if self.gate.slices else ()) if name not in hidden)

    @property
    def reads_by_jobs(self) -> bool:
        """Whether a drop may be read by a Spark job: returns need all rows in their order at once, in the app."""
        return self.data.reader != "function" and self.drift.returns is None

    @property
    def shares(self) -> tuple[int, ...]:
        """The challenger's share of traffic in each step of the canary: none where steps are drops that both score."""
        return self.canary.steps if self.serve.type == "online" else (0,) * self.canary.drops
