"""A loop's definition, frozen: each attribute path is the key path of the YAML, every default stands here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Literal, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationError,
    model_serializer,
    model_validator,
)

from shared.errors import ConfigurationError
from shared.loopfile.kinds import (
    COLUMN,
    COLUMNS,
    COUNT,
    DURATION,
    FILE,
    NCRONTAB,
    PLACE,
    POSITIVE,
    SHARE,
    Column,
    ColumnKind,
    Columns,
    Count,
    Duration,
    EnvironmentName,
    File,
    Key,
    NotNegative,
    Place,
    Positive,
    Schedule,
    Section,
    Share,
    distinct,
    rising,
    url,
)

# --- data ----------------------------------------------------------------------------------------


class Holdout(Section):
    by: Annotated[
        Literal["hash", "time", "group"],
        Key(
            "hash, time or group",
            "How rows are kept back: by a stable hash of the features, the newest, or whole groups.",
        ),
    ] = "hash"
    fraction: Annotated[
        float,
        Field(gt=0, le=0.5),
        Key("a number above 0, up to 0.5", "Share of the rows that no training sees."),
    ] = 0.2
    column: Annotated[Column | None, Key(COLUMN, "The time or group column; needed for time and group.")] = (
        None
    )


class Window(Section):
    """Which versions a training gets. Written as all, newest, {last: n} or {days: n}."""

    kind: Literal["all", "newest", "last", "days"] = "all"
    n: Annotated[int, Field(ge=0)] = 0

    @model_serializer
    def _as_written(self) -> str | dict[str, int]:
        return {self.kind: self.n} if self.kind in ("last", "days") else self.kind


def _window(value: object) -> object:
    if isinstance(value, Window):
        return value
    if value in ("all", "newest"):
        return Window.model_validate({"kind": value})
    if isinstance(value, Mapping) and len(value) == 1:
        kind, n = next(iter(value.items()))
        if kind in ("last", "days") and isinstance(n, int) and not isinstance(n, bool) and 1 <= n <= 10_000:
            return Window.model_validate({"kind": kind, "n": n})
    raise ValueError("no window")


class Source(Section):
    url: Annotated[
        str, AfterValidator(url), Key("an https URL without user name", "What is fetched as a drop.")
    ]
    every: Annotated[Schedule, Key(NCRONTAB, "When it is fetched.")]
    records: Annotated[
        str, Key("dotted keys, for example data.prices", "Where in a JSON answer the list of rows is.")
    ] = ""
    timeout: Annotated[Duration, Key(DURATION, "How long one download may take.")] = timedelta(minutes=2)


class Limits(Section):
    max_size_mb: Annotated[Positive, Key(POSITIVE, "Largest size of a drop, also after decompression.")] = (
        1024
    )
    max_rows: Annotated[Count, Key(COUNT, "Most rows of a drop.")] = 50_000_000
    max_columns: Annotated[Count, Key(COUNT, "Most columns.")] = 2_000
    max_field_kb: Annotated[Positive, Key(POSITIVE, "Longest single value.")] = 1024
    memory_mb: Annotated[
        int, Field(ge=256), Key("a whole number from 256", "Memory of the process that reads a drop.")
    ] = 1536
    seconds: Annotated[Positive, Key(POSITIVE, "Time that reading a drop may take.")] = 180


class Data(Section):
    landing: Annotated[Place, Key(PLACE, "Where drops land.")]
    target: Annotated[Column, Key(COLUMN, "The column that the model predicts.")]
    id: Annotated[Column | None, Key(COLUMN, "Names a row; joins late labels with predictions.")] = None
    time: Annotated[
        Column | None,
        Key(COLUMN, "When a row happened; gives a version's Start and End, and is never judged: time moves."),
    ] = None
    ignore: Annotated[Columns, Key(COLUMNS, "Columns that are neither features nor judged.")] = ()
    columns: Annotated[
        Mapping[Column, ColumnKind],
        Key(
            f"names with {', '.join(get_args(ColumnKind))}",
            "What columns are, where their values do not show it.",
        ),
    ] = Field(default_factory=dict)
    labels: Annotated[Place | None, Key(PLACE, "Where late labels land, dropped like data.")] = None
    holdout: Annotated[
        Holdout, Key("by, fraction and column", "Rows that are kept for every later comparison.")
    ] = Holdout()
    window: Annotated[
        Window,
        BeforeValidator(_window),
        Key("all, newest, {last: n} or {days: n}", "Which versions a training gets."),
    ] = Window()
    source: Annotated[Source | None, Key("url and every", "Fetched on a schedule rather than dropped.")] = (
        None
    )
    format: Annotated[
        Literal["auto", "csv", "parquet"], Key("auto, csv or parquet", "auto: told from the content.")
    ] = "auto"
    limits: Annotated[Limits, Key("see below", "What a drop may cost.")] = Limits()

    @model_validator(mode="before")
    @classmethod
    def _ignored(cls, value: object) -> object:
        """A column that is said to be `ignore` is one of data.ignore, so that no reader has to look at both."""
        if not isinstance(value, Mapping) or not isinstance(columns := value.get("columns"), Mapping):
            return value
        ignore = value.get("ignore", ())
        left_out = [name for name, kind in columns.items() if kind == "ignore"]
        if not left_out or not isinstance(ignore, list | tuple):
            return value
        return {**value, "ignore": [*ignore, *(name for name in left_out if name not in ignore)]}


# --- train and serve -----------------------------------------------------------------------------

Parameter = Annotated[
    str, BeforeValidator(lambda value: json.dumps(value) if isinstance(value, bool | int | float) else value)
]


class Train(Section):
    pipeline: Annotated[File, Key(FILE, "An Azure ML pipeline: a training folder in, a model out.")]
    compute: Annotated[
        str | None,
        StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{1,31}$"),
        Key("the name of a compute target", "Where jobs run; nothing means serverless."),
    ] = None
    attempts: Annotated[
        int, Field(ge=1, le=10), Key("a whole number from 1 to 10", "How often a failed training is tried.")
    ] = 2
    parameters: Annotated[
        Mapping[str, Parameter], Key("names with texts or numbers", "Inputs of the pipeline beside the data.")
    ] = Field(default_factory=dict)
    timeout: Annotated[Duration, Key(DURATION, "After this a job is cancelled and counts as failed.")] = (
        timedelta(hours=6)
    )


class Serve(Section):
    endpoint: Annotated[
        str,
        StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{1,30}[A-Za-z0-9]$"),
        Key("3 to 32 letters, digits and hyphens, a letter first", "The online endpoint."),
    ]
    scoring: Annotated[
        File | None, Key("a folder beside the loop file", "Scoring code; nothing for an MLflow model.")
    ] = None
    environment: Annotated[
        EnvironmentName | None,
        Key("a file beside the loop file, or azureml:name:version", "What the scoring code runs in."),
    ] = None
    instance_type: Annotated[Column, Key("an Azure VM size", "The machine of a deployment.")] = (
        "Standard_DS3_v2"
    )
    instance_count: Annotated[Count, Key(COUNT, "How many machines serve a deployment.")] = 1


# --- judging -------------------------------------------------------------------------------------


class Material(Section):
    numeric: Annotated[Positive, Key(POSITIVE, "In standard deviations of the reference.")] = 0.1
    categorical: Annotated[Positive, Key(POSITIVE, "As Jensen–Shannon distance.")] = 0.1


class Persistence(Section):
    breaches: Annotated[Count, Key(COUNT, "So many breaches ...")] = 1
    of: Annotated[Count, Key(COUNT, "... of the last so many versions since the last retraining.")] = 1


class Returns(Section):
    columns: Annotated[
        Columns, Field(min_length=1), Key(COLUMNS, "Judged by log returns from row to row, not by level.")
    ]
    by: Annotated[Column | None, Key(COLUMN, "Rows of one value are one series, for example a share.")] = None


class Drift(Section):
    enabled: Annotated[bool, Key("true or false", "Whether versions are judged against the reference.")] = (
        True
    )
    false_alarm_rate: Annotated[
        float, Field(gt=0, le=0.5), Key("a number above 0, up to 0.5", "Of the whole report, per version.")
    ] = 0.01
    material: Annotated[Material, Key("numeric and categorical", "Smallest effect that matters.")] = (
        Material()
    )
    columns: Annotated[Columns, Key(COLUMNS, "Only these are judged; empty means every feature.")] = ()
    returns: Annotated[
        Returns | None, Key("columns and by", "For time series whose level wanders, such as prices.")
    ] = None
    persistence: Annotated[Persistence, Key("breaches and of", "How lasting drift must be.")] = Persistence()
    predictions: Annotated[
        Duration | None,
        Key(DURATION, "How often live answers are held against those of the gate; nothing: never."),
    ] = None


MetricName = Literal[
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "f1_weighted",
    "precision_macro",
    "recall_macro",
    "mae",
    "rmse",
    "mape",
    "r2",
]


class Metric(Section):
    name: Annotated[
        MetricName,
        Key(f"one of {', '.join(get_args(MetricName))}", "What is measured."),
    ]
    at_least: Annotated[float | None, Key("a number", "A breach when it is significantly lower.")] = None
    at_most: Annotated[float | None, Key("a number", "A breach when it is significantly higher.")] = None
    confidence: Annotated[
        float, Field(ge=0.5, lt=1), Key("a number from 0.5, below 1", "Of the interval.")
    ] = 0.95
    sample: Annotated[
        int,
        Field(ge=10, le=100_000),
        Key("a whole number from 10 to 100000", "Rows that the champion is asked about."),
    ] = 1000


# --- retraining ----------------------------------------------------------------------------------


class Budget(Section):
    runs_per_day: Annotated[Count, Key(COUNT, "Most releases that start in 24 hours.")] = 4
    compute_per_day: Annotated[
        Duration | None,
        Key(DURATION, "None starts after jobs took this long in 24 hours; one that has begun is finished."),
    ] = None


Reason = Literal["drift", "metric", "schedule", "alert"]


class Retrain(Section):
    on: Annotated[
        tuple[Reason, ...],
        AfterValidator(distinct),
        Key("a list of drift, metric, schedule and alert", "What may start a release without a person."),
    ] = ("drift", "metric", "schedule", "alert")
    schedule: Annotated[Schedule | None, Key(NCRONTAB, "When a release is asked for.")] = None
    alerts: Annotated[
        tuple[Column, ...],
        Key('a list of patterns, for example ["penguins-*"]', "Alert rules that ask for a release."),
    ] = ()
    max_age: Annotated[Duration | None, Key(DURATION, "An older champion asks for a release.")] = None
    cooldown: Annotated[Duration, Key(DURATION, "Rest after a release has ended.")] = timedelta(hours=6)
    budget: Annotated[Budget, Key("runs_per_day and compute_per_day", "What retraining may cost.")] = Budget()


# --- gate and canary -----------------------------------------------------------------------------


class Slices(Section):
    by: Annotated[Columns, Field(min_length=1), Key(COLUMNS, "Columns whose values make the slices.")]
    floor: Annotated[float, Key("a number", "The challenger's metric must reach it in every slice.")]
    min_rows: Annotated[Count, Key(COUNT, "Smaller slices are shown, not judged.")] = 30


class Gate(Section):
    margin: Annotated[
        float, Field(ge=0), Key("a number from 0", "How much worse than the champion is still good enough.")
    ] = 0.02
    confidence: Annotated[
        float, Field(ge=0.5, lt=1), Key("a number from 0.5, below 1", "Of the comparison.")
    ] = 0.95
    calibration: Annotated[
        float | None,
        Field(gt=0, lt=1),
        Key("a number above 0, below 1", "How far stated probabilities may be off; nothing: told only."),
    ] = None
    superiority: Annotated[
        Literal["auto", True, False],
        Key(
            "auto, true or false",
            "Must be better, not only as good. auto: when a metric breach was the trigger.",
        ),
    ] = "auto"
    floor: Annotated[float | None, Key("a number", "The challenger's metric must reach it.")] = None
    slices: Annotated[Slices | None, Key("by, floor and min_rows", "Floors for parts of the data.")] = None
    checks: Annotated[
        tuple[File, ...],
        Key("a list of files beside the loop file", "Azure ML jobs that must succeed before traffic."),
    ] = ()
    on_inconclusive: Annotated[
        Literal["hold", "reject", "promote"], Key("hold, reject or promote", "When the rows do not decide.")
    ] = "hold"


class Step(Section):
    minutes: Annotated[NotNegative, Key("a number from 0", "Shortest time of a step.")] = 15
    min_requests: Annotated[Count, Key(COUNT, "Fewest requests to the challenger in a step.")] = 500
    max_hours: Annotated[Positive, Key(POSITIVE, "A step that lasts longer has timed out.")] = 24


class Margins(Section):
    error_rate: Annotated[
        NotNegative, Key("a number from 0", "More errors than the champion, as a share.")
    ] = 0.01
    latency_ratio: Annotated[
        float, Field(ge=1), Key("a number from 1", "The champion's latency times this is still good enough.")
    ] = 1.25
    latency_floor_ms: Annotated[
        NotNegative, Key("a number from 0", "Nothing faster than this counts as slow.")
    ] = 50
    prediction_shift: Annotated[
        float | None,
        Field(gt=0, le=1),
        Key(
            "a number above 0, up to 1",
            "Largest change of a class's (or a band's) share; nothing: reported only, as a retrained model may differ.",
        ),
    ] = None
    shadow_disagreement: Annotated[
        float | None,
        Field(gt=0, lt=1),
        Key(
            "a number above 0, below 1",
            "Share of the champion's requests that may be answered otherwise; nothing: reported only.",
        ),
    ] = None
    label_error: Annotated[
        float | None,
        Field(gt=0, le=1),
        Key(
            "a number above 0, up to 1",
            "More wrong answers (or, relatively, greater errors) as labels come in; needs data.labels.",
        ),
    ] = 0.05


class Canary(Section):
    steps: Annotated[
        tuple[int, ...],
        AfterValidator(rising),
        Key(
            "rising whole percentages between 1 and 99, for example [10, 50]",
            "The challenger's share of traffic.",
        ),
    ] = (10, 50)
    step: Annotated[Step, Key("minutes, min_requests and max_hours", "How long a step lasts.")] = Step()
    false_rollback_rate: Annotated[
        Share, Key(SHARE, "Of a canary that is as good as the champion, however often it is looked at.")
    ] = 0.01
    margins: Annotated[Margins, Key("see below", "What is still as good.")] = Margins()
    approval: Annotated[
        Literal["none", "before_canary", "before_promotion"],
        Key("none, before_canary or before_promotion", "Where a person must approve."),
    ] = "none"
    on_timeout: Annotated[
        Literal["hold", "promote", "roll_back"],
        Key("hold, promote or roll_back", "When a step's evidence does not come."),
    ] = "hold"
    bake_minutes: Annotated[
        NotNegative, Key("a number from 0", "How long the old deployment is kept warm after promotion.")
    ] = 30


class Definition(Section):
    """One loop, as its file says."""

    loop: Annotated[
        str,
        StringConstraints(pattern=r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$"),
        Key("3 to 32 small letters, digits and hyphens, a letter first", "The loop's name."),
    ]
    description: Annotated[str, Key("a text", "For people.")] = ""
    data: Annotated[Data, Key("landing, target and more", "What is dropped, and how it is read.")]
    train: Annotated[Train, Key("pipeline and more", "How a model is made.")]
    serve: Annotated[Serve, Key("endpoint and more", "Where a model serves.")]
    drift: Annotated[Drift, Key("see below", "When data have moved.")] = Drift()
    metric: Annotated[
        Metric | None, Key("name with at_least or at_most", "What the live model must reach.")
    ] = None
    retrain: Annotated[Retrain, Key("see below", "When a release starts.")] = Retrain()
    gate: Annotated[Gate, Key("see below", "The comparison at 0 % traffic.")] = Gate()
    canary: Annotated[Canary, Key("see below", "The comparison under live traffic.")] = Canary()

    def to_json(self) -> str:
        """All of it with the defaults, in the keys of the loop file; equal definitions give equal text."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=False, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Definition:
        try:
            return cls.model_validate(_tuples(json.loads(text)))
        except (ValidationError, ValueError) as error:
            raise ConfigurationError(
                "This version of Driftloop cannot read the stored definition; publish the loop again. "
                f"({error})"
            ) from error


def _tuples(value: object) -> object:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value
