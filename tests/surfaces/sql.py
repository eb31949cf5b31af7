"""What SQL says of pairs, asked by psql and by PostgreSQL's JDBC driver."""

import subprocess
from pathlib import Path

import tools
from figures import DROP_OFF, curve
from pairs import Pair

DRIVER = "postgresql-42.7.7"
HERE = Path(__file__).resolve().parent


def exact_sum(column: str) -> str:
    """The sum as the models take it: of whole billionths, so that it does not depend on the order of rows."""
    return f"cast(sum(cast(round({column} * 1e9) as decimal(28, 0))) as double) / 1e9"


def statements(pair: Pair) -> list[str]:
    """What is asked of a pair: its views, its curve, its drop-off, its seeks after half."""
    where = pair.condition()
    average = f"{exact_sum('watch_time_percentage')} / nullif(count(watch_time_percentage), 0)"
    completed = "cast(sum(case when is_completed then 1 else 0 end) as double) / nullif(count(is_completed), 0)"
    changes = ", ".join(f"sum({column}_change)" for column in ("plays", "watched", "survived"))
    drops = ", ".join(f"coalesce(sum({column}), 0)" for column in DROP_OFF)
    return [
        f"select count(*), count(distinct user_id), coalesce({exact_sum('watch_time_s')}, 0), {average}, {completed} "
        f"from silver.views where {where}",
        f"select second_s, {changes} from gold.retention_changes where {where} group by second_s",
        f"select {drops} from gold.drop_off where {where}",
        "select coalesce(sum(views), 0), coalesce(sum(views_with_seek_after_half), 0), coalesce(sum(seeks_after_half), 0) "
        f"from gold.seeks_after_half where {where}",
    ]


def numbers(results: list[list[list[str]]]) -> dict:
    """What is compared, from the rows of the four statements."""
    facts, changes, drops, after = results
    real = lambda text: None if text == "\\N" else float(text)
    said = {"views": int(facts[0][0]), "viewers": int(facts[0][1])}
    said |= {name: real(text) for name, text in zip(("watch_time_s", "avg_retention", "completion_rate"), facts[0][2:])}
    said["curve"] = curve([tuple(map(int, row)) for row in changes])
    said |= dict(zip(DROP_OFF, map(int, drops[0])))
    said |= dict(zip(("gold_views", "views_with_seek", "seeks"), map(int, after[0])))
    if said.pop("gold_views") != said["views"]:
        raise SystemExit(f"silver.views and gold.seeks_after_half count other views: {facts}, {after}")
    return said


def address(port: int) -> str:
    """Where psql finds the endpoint."""
    return f"host=127.0.0.1 port={port} user=streamreel dbname=streamreel"


def psql(port: int, script: Path) -> str:
    """What psql prints of a script: tab-separated text, nulls as \\N."""
    return tools.run(
        tools.need("psql", "postgresql-client"), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only",
        "--field-separator=\t", "--pset=null=\\N", "--set=ON_ERROR_STOP=1", f"--file={script}", address(port),
        capture_output=True, text=True,
    ).stdout


def rows_by_psql(port: int, statement: str, scratch: Path) -> list[list[str]]:
    """Rows of one statement, as text."""
    script = scratch / "statement.sql"
    script.write_text(f"{statement};\n")
    return [line.split("\t") for line in psql(port, script).splitlines()]


def by_psql(port: int, pairs: list[Pair], scratch: Path) -> list[dict]:
    """All pairs, by psql."""
    script = scratch / "psql.sql"
    script.write_text("".join(f"{sql};\n\\echo --\n" for pair in pairs for sql in statements(pair)))
    return parsed(psql(port, script), len(pairs))


def by_jdbc(port: int, pairs: list[Pair], scratch: Path) -> list[dict]:
    """All pairs, by JDBC, each statement prepared."""
    file = scratch / "jdbc.sql"
    file.write_text("".join(f"{sql}\n" for pair in pairs for sql in statements(pair)))
    java = tools.need("javac", "default-jdk-headless").replace("javac", "java")
    url = f"jdbc:postgresql://127.0.0.1:{port}/streamreel?user=streamreel"
    done = tools.run(java, "-cp", driver(), HERE / "Jdbc.java", url, file, capture_output=True, text=True)
    return parsed(done.stdout, len(pairs))


def driver() -> Path:
    """The JDBC driver, from Maven Central."""
    folder = tools.target() / "downloads"
    jar = folder / f"{DRIVER}.jar"
    if not jar.is_file():
        tools.say(f"loading {DRIVER} from Maven Central")
        artifact = f"org.postgresql:{DRIVER.replace('-', ':', 1)}"
        plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
        tools.run(tools.need("mvn", "maven"), "--quiet", "--batch-mode", "-Dstyle.color=never", plugin,
                  f"-Dartifact={artifact}", f"-DoutputDirectory={folder}", stdout=subprocess.DEVNULL)
    return jar


def parsed(text: str, pairs: int) -> list[dict]:
    """The numbers of each pair, from rows and the lines `--` between statements."""
    results, rows = [], []
    for line in text.splitlines():
        if line == "--":
            results.append(rows)
            rows = []
        elif line:
            rows.append(line.split("\t"))
    if len(results) != 4 * pairs:
        raise SystemExit(f"{len(results)} results of {4 * pairs} statements")
    return [numbers(results[start : start + 4]) for start in range(0, len(results), 4)]
