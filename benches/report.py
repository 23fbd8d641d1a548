"""Writes the benchmarks' results of all backends: a Markdown file, a JSON file, tables in pages.

`python benches/report.py` reads the results of the last runs from `.benchmarks/`, one file per
backend, writes `benches/RESULTS.md` and `benches/results.json`, and updates the tables in README
and in the pages of `docs/` between their marks. A backend without new results keeps those that
`results.json` has, and one of which some tables were measured keeps the others.
"""

import datetime
import json
import math
import os
import platform
import re
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
LEFT = ROOT / ".benchmarks"
RESULTS = ROOT / "benches" / "results.json"
PACKAGES = ["keras", "tensorflow", "jax", "torch", "tensorboardX", "mlflow", "wandb", "numpy"]
NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "torch"}
TITLES = {
    "fit": "A batch of `fit()`",
    "short": "A short `fit()`, from making its callbacks to closing their files",
    "list": "The hooks of a batch, in a list, without training",
    "hook": "A hook, called directly",
    "losses": "The per-batch loss, in `fit()`",
    "health": "Health monitors",
    "validation": "A validation inside an epoch, from the second one on",
    "files": "Event files: the time per scalar, until it is in the file",
    "read": "Reading recorded runs: processor time and memory",
    "read growth": "Recorded runs: how time and memory grow with the number of points",
    "saves": "How long training stands still for a save of 100 MB",
    "plot": "A plot of ten million losses",
    "trackers": "Trackers: the time of a batch, with every batch in the tracker",
    "import": "Import, after Keras",
    "spikes": "Spikes of the loss: which rule finds them",
    "growth": "How the cost grows: the hooks of a batch",
    "blocks": "Blocks of columns for trackers",
    "processes": "Two processes: the hooks of a batch on rank 0, and an agreement",
}
# Units of which a ratio says something: not counts and shares.
HAVE_RATIOS = {"s", "B", "MiB"}
UNITS = [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")]


def of_backend(rows):
    """The rows of a run, with the machine and the versions."""
    import keras

    return {
        "backend": keras.config.backend(),
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "versions": {name: version(name) for name in ["fitwatch", *PACKAGES] if version(name)},
        "rows": rows,
    }


def version(package):
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor():
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def keep(found):
    """Stores a run for the report; newer rows of a backend replace older ones."""
    LEFT.mkdir(exist_ok=True)
    path = LEFT / f"{found['backend']}.json"
    if path.exists():
        before, new = json.loads(path.read_text()), set(map(name_of, found["rows"]))
        kept = [row for row in before["rows"] if name_of(row) not in new]
        found = joined_versions(before, {**found, "rows": kept + found["rows"]})
    path.write_text(json.dumps(found, indent=1))


def name_of(row):
    """What identifies a row of a backend."""
    return row["table"], row["what"], row.get("beside")


def joined(old, new):
    """A newer run of a backend, with the tables of the older one that it has not measured."""
    measured = {row["table"] for row in new["rows"]}
    kept = [{"date": old["date"], **row} for row in old["rows"] if row["table"] not in measured]
    return joined_versions(old, {**new, "rows": kept + new["rows"]})


def joined_versions(old, new):
    """The newer run, with the versions of packages that only the older one had."""
    return {**new, "versions": {**old["versions"], **new["versions"]}}


def show(value, unit):
    """A figure with three digits."""
    if unit == "MiB":
        return f"{value:.0f} MiB"
    if unit == "B":
        return f"{value:.1f} B"
    if unit == "%":
        return f"{value:.0%}"
    if not unit:
        return "never" if value == math.inf else f"{value:.3g}"
    scale, name = next((each for each in UNITS if value >= each[0]), UNITS[-1])
    number = value / scale
    digits = 0 if number >= 99.5 else 1 if number >= 9.95 else 2
    return f"{number:.{digits}f} {name}"


def cells(row):
    """The cells of a row for one backend: ours, theirs, the ratio and its quartiles."""
    if row is None:
        return ["", "", ""]
    if "theirs" not in row:
        return [show(row["ours"], row["unit"]), "", ""]
    ours, theirs = show(row["ours"], row["unit"]), show(row["theirs"], row["unit"])
    if "ratio" not in row:
        return [ours, theirs, ""]
    low, high = (f"{each:.3g}" for each in row["quartiles"])
    spread = f" ({low} to {high})" if low != high else ""  # one round has no spread
    return [ours, theirs, f"{row['ratio']:.3g}{spread}"]


def table(name, runs):
    """The rows of a table, backends side by side."""
    runs = [run for run in runs if any(row["table"] == name for row in run["rows"])]
    order = {}
    for run in runs:
        for row in run["rows"]:
            if row["table"] == name:
                order.setdefault((row["what"], row.get("beside", "")), {})[run["backend"]] = row
    if not order:
        return ""
    head = ["", "reference"]
    for run in runs:
        name = NAMES[run["backend"]]
        head += [name, f"{name}: reference", "ratio (quartiles)"]
    lines = [head, ["---", "---", *["---:"] * (len(head) - 2)]]
    for (what, beside), by_backend in order.items():
        figures = [cells(by_backend.get(run["backend"])) for run in runs]
        lines.append([what, beside, *(cell for three in figures for cell in three)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def about(runs):
    """When, where, and with which versions."""
    places, versions = {}, {}
    for run in runs:
        older = sorted({row["date"] for row in run["rows"] if "date" in row})
        dates = f"{run['date']} (tables not measured again: {', '.join(older)})"
        when = dates if older else run["date"]
        place = f"{when}, {run['machine']}, Python {run['python']}"
        places.setdefault(place, []).append(NAMES[run["backend"]])
        versions |= run["versions"]
    where = "; ".join(f"{', '.join(backends)}: {place}" for place, backends in places.items())
    return f"{where}. {', '.join(f'{name} {number}' for name, number in versions.items())}."


def markdown(runs):
    """All tables, with their titles."""
    parts = [f"## {title}\n\n{table(name, runs)}" for name, title in TITLES.items()]
    return "\n\n".join(part for part in parts if not part.endswith("\n\n"))


def into(text, runs):
    """A page with its tables filled in, between `<!-- bench: NAME -->` and `<!-- end -->`.

    Three backends side by side are too wide for a page: torch is only in RESULTS.md.
    """
    runs = [run for run in runs if run["backend"] != "torch"]

    def filled(place):
        found = about(runs) if place[1] == "about" else table(place[1], runs)
        if not found:
            return place[0]
        return f"<!-- bench: {place[1]} -->\n{found}\n<!-- end -->"

    return re.sub(r"<!-- bench: (\w+) -->\n.*?<!-- end -->", filled, text, flags=re.DOTALL)


def pages():
    """The pages that may have tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def main():
    left = [json.loads(path.read_text()) for path in LEFT.glob("*.json")]
    if not left:
        raise SystemExit("nothing in .benchmarks: run `make bench` first")
    before = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    by_backend = {run["backend"]: run for run in before}
    for run in left:
        old = by_backend.get(run["backend"])
        by_backend[run["backend"]] = joined(old, run) if old else run
    runs = [run for _, run in sorted(by_backend.items())]
    page = (
        "# Results of `make bench`\n\n"
        "The figures are medians of interleaved rounds. A ratio is the median of the ratios of the "
        "rounds; below 1, fitwatch takes less than the reference. The docstring of each benchmark "
        "says what it measures.\n\n"
        f"{about(runs)}\n\n{markdown(runs)}\n"
    )
    (ROOT / "benches" / "RESULTS.md").write_text(page)
    RESULTS.write_text(json.dumps(runs, indent=1) + "\n")
    for path in pages():
        path.write_text(into(path.read_text(), runs))
    print(page)


if __name__ == "__main__":
    main()
