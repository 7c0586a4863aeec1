"""The demo's networks under PyTorch's DistributedDataParallel: plain BatchNorm1d, gloo, CPU.

python3 examples/torch_ddp.py --ranks 4 --rows 2,4,8

A BatchNorm1d there has the statistics of its rank's rows. torch.nn.SyncBatchNorm refuses CPU
tensors. Debian's python3-torch suffices. Prints the test accuracy after the last epoch.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
from pathlib import Path

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

DATA = Path(__file__).resolve().parent / "data"
Part = tuple[torch.Tensor, torch.Tensor]


def breast_cancer() -> tuple[Part, Part]:
    with (DATA / "breast_cancer.csv").open(newline="") as file:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    table = torch.tensor(rows, dtype=torch.float64)
    is_test = torch.arange(len(table)) % 4 == 3
    parts = [table[~is_test], table[is_test]]
    train, test = ((part[:, :30].float(), part[:, 30].long()) for part in parts)
    return train, test


def basic_motions() -> tuple[Part, Part]:
    with (DATA / "basic_motions.csv").open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    names = sorted({row[2] for row in rows})
    parts = []
    for split in ("train", "test"):
        own = [row for row in rows if row[0] == split]
        values = torch.tensor([[float(cell) for cell in row[4:]] for row in own])
        labels = torch.tensor([names.index(row[2]) for row in own if row[3] == "0"])
        parts.append((values.view(len(own) // 6, 6, 100), labels))
    return parts[0], parts[1]


def perceptron() -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm1d(30),
        *(nn.Linear(30, 16), nn.BatchNorm1d(16), nn.ReLU()),
        *(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.ReLU()),
        nn.Linear(16, 2),
    )


def convolutions() -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm1d(6),
        *(nn.Conv1d(6, 16, 7, 2, 3), nn.BatchNorm1d(16), nn.ReLU()),
        *(nn.Conv1d(16, 32, 5, 2, 2), nn.BatchNorm1d(32), nn.ReLU()),
        *(nn.Conv1d(32, 32, 3, 2, 1), nn.BatchNorm1d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 4)),
    )


# The recipes of examples/tabular.cpp and examples/motions.cpp.
TASKS = {
    "breast_cancer": (breast_cancer, perceptron, 20, 0.02),
    "basic_motions": (basic_motions, convolutions, 30, 0.05),
}


def start_weights(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)


def train(task: str, rows: int, seed: int, rank: int, ranks: int) -> float:
    """The test accuracy after the last epoch. `rows` are those of each rank in a batch."""
    load, make, epochs, learning_rate = TASKS[task]
    (x, labels), (test_x, test_labels) = load()
    torch.manual_seed(seed)
    network = make()
    start_weights(network)
    parallel = DistributedDataParallel(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=learning_rate, momentum=0.9)
    order = torch.Generator().manual_seed(seed)
    batch = rows * ranks
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = (
            learning_rate * (1 + math.cos(math.pi * epoch / epochs)) / 2
        )
        parallel.train()
        shuffled = torch.randperm(len(x), generator=order)
        for first in range(0, len(x) - batch + 1, batch):
            own = shuffled[first + rank * rows : first + (rank + 1) * rows]
            optimizer.zero_grad()
            nn.functional.cross_entropy(parallel(x[own]), labels[own]).backward()
            optimizer.step()
    network.eval()
    with torch.no_grad():
        correct = network(test_x).argmax(1) == test_labels
    return correct.double().mean().item()


def work(rank: int, options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=options.ranks)
    for task in TASKS:
        for rows in (int(text) for text in options.rows.split(",")):
            seeds = range(1, options.seeds + 1)
            found = [train(task, rows, seed, rank, options.ranks) for seed in seeds]
            if rank == 0:
                mean = sum(found) / len(found)
                print(f"{task},{rows},{mean:.3f},{min(found):.3f},{max(found):.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=4)
    parser.add_argument("--rows", default="2,4,8", help="of each rank in a batch")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", "29514")
    print(f"torch {torch.__version__}\ndata set,rows per rank,mean,worst,best")
    torch.multiprocessing.spawn(work, (options,), nprocs=options.ranks)


if __name__ == "__main__":
    main()
