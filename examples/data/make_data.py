"""Makes the two data files of the demo from the PyPI packages that contain them.

    pip install scikit-learn==1.9.1
    pip download --no-deps aeon==1.6.0
    python make_data.py aeon-1.6.0-py3-none-any.whl

The numbers are written as they stand in the sources, digit for digit.
"""

import csv
import io
import sys
import zipfile
from importlib import resources
from pathlib import Path

HERE = Path(__file__).parent


def breast_cancer() -> list[list[str]]:
    """One row a patient: 30 measurements, then the diagnosis (0 malignant, 1 benign)."""
    source = resources.files("sklearn.datasets.data") / "breast_cancer.csv"
    rows = list(csv.reader(io.StringIO(source.read_text())))[1:]
    measures = (
        "radius",
        "texture",
        "perimeter",
        "area",
        "smoothness",
        "compactness",
        "concavity",
        "concave_points",
        "symmetry",
        "fractal_dimension",
    )
    header = [f"{statistic}_{m}" for statistic in ("mean", "error", "worst") for m in measures]
    return [[*header, "benign"], *rows]


def basic_motions(wheel: Path) -> list[list[str]]:
    """One row an axis of a recording: split, recording, activity, axis, 100 samples."""
    rows = [["split", "recording", "activity", "axis", *(f"t{t}" for t in range(100))]]
    with zipfile.ZipFile(wheel) as archive:
        for split in ("train", "test"):
            name = f"aeon/datasets/data/BasicMotions/BasicMotions_{split.upper()}.ts"
            lines = archive.read(name).decode().splitlines()
            recordings = [line for line in lines if line and line[0] not in "#@"]
            for number, recording in enumerate(recordings):
                *series, activity = recording.strip().split(":")
                for axis, samples in enumerate(series):
                    rows.append([split, str(number), activity, str(axis), *samples.split(",")])
    return rows


def write(name: str, rows: list[list[str]]) -> None:
    """Writes one table beside this script."""
    with (HERE / name).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    write("breast_cancer.csv", breast_cancer())
    write("basic_motions.csv", basic_motions(Path(sys.argv[1])))
