"""Five policies over ten drops of the penguins, with drift put in at known times; writes docs/backtest.md.

`python -m benchmarks.backtest`
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
from palmerpenguins import load_penguins
from typer.testing import CliRunner

from shared.cli import app

ROOT = Path(__file__).parents[2]
DRIFTS = {4: "the balance shows 15 % too much", 7: "bill length is measured in another unit (times 1.4)"}
HEAD = """# Backtest: choose a policy before trusting it

`driftloop backtest LOOP --data FOLDER` replays past drops, one file each in order of name, through the loop's own
policy and through four others: the engine as it is, over ports in memory, without Azure. A linear model stands in
for the loop's pipeline, so policies are compared, not models; live traffic is no part of the past, so the canary is
a formality. `--picture` draws the live model's metric over time, `--json` gives every step.

Ten drops of the penguins, a week apart, each 150 birds drawn at random from all three seasons;
drift was put in: {drifts}. Made by `python -m benchmarks.backtest`.

![f1_macro of the live model, drop by drop](backtest-penguins.svg)

```
{output}
```

An alarm is a verdict of material drift or of a breached metric, or the rule's own. The metric is that of the model
that served when a drop landed, before anything was retrained on it. The loop's retraining by schedule is switched
off here, so that its row shows what its own verdicts do.
"""


def drops(folder: Path) -> None:
    birds = load_penguins().dropna().reset_index(drop=True)
    for number in range(1, 11):
        drawn = birds.sample(150, random_state=number).reset_index(drop=True)
        drawn.insert(0, "row_id", [f"{number}-{n}" for n in range(len(drawn))])
        if number >= 4:
            drawn["body_mass_g"] = (drawn["body_mass_g"] * 1.15).round()
        if number >= 7:
            drawn["bill_length_mm"] = (drawn["bill_length_mm"] * 1.4).round(1)
        pd.DataFrame(drawn).to_csv(folder / f"{number:02d}.csv", index=False)


def main() -> None:
    picture = ROOT / "docs" / "backtest-penguins.svg"
    with tempfile.TemporaryDirectory() as folder:
        drops(Path(folder))
        arguments = ["backtest", str(ROOT / "loops/penguins"), "--data", folder, "--picture", str(picture)]
        settings = [
            "--set",
            "retrain.schedule=null",
            "--set",
            "retrain.on=[drift, metric, alert]",
            "--set",
            "metric.at_least=0.9",
        ]
        done = CliRunner().invoke(app, [*arguments, *settings], env={"COLUMNS": "110"})
    if done.exit_code:
        raise SystemExit(f"{done.output}{done.exception}")
    lines = [
        line.rstrip()
        for line in done.output.splitlines()
        if not line.startswith(("f1_macro over", "loop waits"))
    ]
    told = "; ".join(f"from drop {number} on, {words}" for number, words in DRIFTS.items())
    text = HEAD.format(drifts=told, output="\n".join(lines).strip())
    (ROOT / "docs" / "backtest.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
