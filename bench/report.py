"""From single measurements to medians, ratios, verdicts, Markdown and CSV."""

import csv
import statistics

from plan import ALIKE, BASELINE, PREPARED_COST, SUBJECT

METRICS = ("tps", "mean_ms", "p99_ms", "cpu_us", "cpu_us_mb", "calls", "idle_kb", "copy_ms", "rss_mb")
UNITS = {"cpu_us": "us CPU a transaction", "cpu_us_mb": "us CPU a MB", "calls": "system calls a transaction",
         "idle_kb": "KB an idle client", "copy_ms": "ms a COPY", "mean_ms": "ms a transaction, mean"}


class Results:
    """(round, case name, peer name) -> figures, or the reason why there are none."""

    def __init__(self):
        self.figures = {}
        self.reasons = {}
        self.failed = []  # what should have had figures

    def add(self, round_number, case, peer, figures):
        self.figures[round_number, case.name, peer.name] = figures

    def skip(self, case, peer, reason):
        self.reasons[case.name, peer.name] = reason

    def fail(self, round_number, case, peer, reason):
        self.reasons[case.name, peer.name] = reason
        self.failed.append((round_number, case.name, peer.name, reason))

    def has_failed(self, case_name, peer_name):
        return any((case, peer) == (case_name, peer_name) for _, case, peer, _ in self.failed)

    def by_round(self, case_name, peer_name, metric):
        found = {}
        for (round_number, case, peer), figures in self.figures.items():
            if (case, peer) == (case_name, peer_name) and figures.get(metric) is not None:
                found[round_number] = figures[metric]
        return found

    def ratios(self, case, peer_name, metric):
        """To the case's baseline, of the same round each."""
        own = self.by_round(case.name, peer_name, metric)
        base = self.by_round(case.name, case.baseline, metric)
        return {number: own[number] / base[number] for number in own if base.get(number)}

    def goal_values(self, case, peer_name):
        """What a case's goal is compared with, by round, and a word on what it is."""
        goal = case.goal
        if goal.absolute:
            return self.by_round(case.name, peer_name, goal.metric), "absolute"
        ratios = self.ratios(case, peer_name, goal.metric)
        if ratios or case.mode != "prepared":
            return ratios, f"x {case.baseline}"
        simple = case.name.replace("prepared", "simple")
        own = self.by_round(case.name, peer_name, goal.metric)
        base = self.by_round(simple, BASELINE, goal.metric)
        return ({number: own[number] / (base[number] * PREPARED_COST) for number in own if base.get(number)},
                f"x {PREPARED_COST} x {BASELINE} simple")


def figure(value):
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(by_round, form=figure):
    """Median (lowest-highest)."""
    values = list(by_round.values())
    if not values:
        return "n/a"
    middle = form(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({form(min(values))}-{form(max(values))})"


def ratio(value):
    return f"{value:.2f}"


def verdict(goal, by_round):
    if not by_round:
        return "n/a"
    middle = statistics.median(by_round.values())
    return "good" if middle <= goal.good else "must" if middle <= goal.must else "MISSED"


def table(head, rows):
    rows = [[" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in rows]
    lines = [head, ["---"] * len(head)] + rows
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def goals_table(results, cases, peers):
    """The comparison on each case's own figure, and the verdict."""
    shown = [peer for peer in peers if peer.name not in ("direct", *ALIKE)]
    head = ["case", "measure"] + [peer.label for peer in shown] + ["ratio", "must", "good", "verdict"]
    rows = []
    for case in cases:
        row = [case.name, UNITS[case.metric]]
        row += [spread(results.by_round(case.name, peer.name, case.metric)) for peer in shown]
        if case.goal is None:
            row += [spread(results.ratios(case, SUBJECT, case.metric), ratio), "", "", ""]
        else:
            values, kind = results.goal_values(case, SUBJECT)
            ratios = results.ratios(case, SUBJECT, case.metric) if case.goal.absolute else values
            bounds = [f"{case.goal.must:g}", f"{case.goal.good:g}"]
            note = "" if kind == f"x {BASELINE}" else f" ({kind})"
            judged = "FAILED" if results.has_failed(case.name, SUBJECT) else verdict(case.goal, values)
            row += [spread(ratios, ratio), bounds[0] + note, bounds[1], judged]
        rows.append(row)
    return table(head, rows)


def load_table(results, cases, peers):
    """Throughput and latency of everything that pgbench drove; ratios are to PgBouncer, or what the case has for it."""
    head = ["case", "through", "tps", "mean ms", "p99 ms", "CPU us a transaction", "RSS MB"]
    head += [f"{name} ratio" for name in ("tps", "mean", "p99", "CPU")]
    rows = []
    for case in cases:
        if case.kind != "load":
            continue
        for peer in (peer for peer in peers if case.compares(peer.name)):
            values = {name: results.by_round(case.name, peer.name, name) for name in METRICS}
            if not values["tps"]:
                reason = results.reasons.get((case.name, peer.name), "not measured")
                rows.append([case.name, peer.label, f"n/a: {reason}"] + [""] * (len(head) - 3))
                continue
            rows.append([case.name, peer.label] + [spread(values[name]) for name in
                                                   ("tps", "mean_ms", "p99_ms", "cpu_us", "rss_mb")]
                        + [spread(results.ratios(case, peer.name, name), ratio) for name in
                           ("tps", "mean_ms", "p99_ms", "cpu_us")])
    return table(head, rows)


def write_csv(path, results):
    with open(path, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["round", "case", "peer", *METRICS, "reason"])
        for (number, case, peer), figures in sorted(results.figures.items()):
            writer.writerow([number, case, peer, *(figures.get(name, "") for name in METRICS), ""])
        for (case, peer), reason in sorted(results.reasons.items()):
            writer.writerow(["", case, peer, *([""] * len(METRICS)), reason])
