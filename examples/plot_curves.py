"""Draws the learning curves that halnorm_demo or halnorm_demo_ranks wrote.

plot_curves.py demo-out/curves.csv demo-out/learning_curves.svg demo-out/learning_curves.png
"""

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

TITLES = {
    "breast_cancer": "Wisconsin breast cancer, unscaled\n(N, C): perceptron, 30 features",
    "basic_motions": "BasicMotions, smart watch\n(N, C, L): convolutions, 6 axes x 100 samples",
}
LABELS = {"with": "with BatchNorm1d"}
# The styles are in the order of the file; the first line is thick, so that it shows below another.
STYLES = [("#0b6e99", "-", "o", 4), ("#c8553d", "--", "s", 2), ("#8a8a8a", "-.", "^", 2)]

# accuracies[dataset][variant][epoch]: one test accuracy for each seed
Accuracies = dict[str, dict[str, dict[int, list[float]]]]


def read(path: Path) -> Accuracies:
    """Groups the test accuracies of the file."""
    accuracies: Accuracies = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            seeds = accuracies[row["dataset"]][row["variant"]][int(row["epoch"])]
            seeds.append(float(row["test_accuracy"]))
    return accuracies


def draw(axes: Axes, dataset: str, variants: dict[str, dict[int, list[float]]]) -> None:
    """One panel: for each variant the mean over the seeds, and a thin line for each."""
    for (variant, by_epoch), style in zip(variants.items(), STYLES, strict=False):
        colour, line, marker, width = style
        epochs = sorted(by_epoch)
        seeds = [by_epoch[epoch] for epoch in epochs]
        means = [sum(values) / len(values) for values in seeds]
        for one_seed in zip(*seeds, strict=True):
            axes.plot(epochs, one_seed, line, color=colour, alpha=0.3, linewidth=0.9)
        axes.plot(
            epochs,
            means,
            line,
            color=colour,
            marker=marker,
            markersize=width + 1.5,
            linewidth=width,
            label=f"{LABELS.get(variant, variant)}: {means[-1]:.1%}",
        )
    axes.set_title(TITLES.get(dataset, dataset), fontsize=11)
    axes.set_xlabel("epoch")
    axes.set_ylim(-0.02, 1.03)
    axes.set_xlim(0.5, max(epochs) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    # The legend is below the panel: inside, it would hide a network that fell to 0 %.
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.14),
        ncols=2,
        frameon=False,
        title="mean after the last epoch",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("curves", type=Path, help="the CSV file")
    parser.add_argument("pictures", type=Path, nargs="+", help="files to write: .svg, .png")
    arguments = parser.parse_args()

    accuracies = read(arguments.curves)
    first = next(iter(next(iter(accuracies.values())).values()))
    seeds = len(next(iter(first.values())))
    mpl.rcParams["svg.hashsalt"] = "halnorm"  # the same curves give the same file
    figure = Figure(figsize=(10.5, 5.0), layout="constrained")
    panels = figure.subplots(1, len(accuracies), sharey=True, squeeze=False)
    for axes, (dataset, variants) in zip(panels[0], accuracies.items(), strict=True):
        draw(axes, dataset, variants)
    panels[0][0].set_ylabel("test accuracy")
    lines = f"{seeds} seeds (thin) and their mean" if seeds > 1 else "one seed"
    figure.suptitle(
        f"Same layers, initial weights, batches and learning rate; {lines}", fontsize=12
    )
    for picture in arguments.pictures:
        metadata = {"Date": None} if picture.suffix == ".svg" else None
        figure.savefig(picture, dpi=150, metadata=metadata)
        print(f"wrote {picture}")


if __name__ == "__main__":
    main()
