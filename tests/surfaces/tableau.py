"""What the Tableau workbook's sheets ask for gives the same rows over the SQL endpoint as over the extract.

    tableau.py WHERE.json          (as run.py writes it)
"""

import json
import math
import sys
from datetime import date
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "exports")]
import sql
import tools
from lxml import etree
from tableauhyperapi import Connection, CreateMode, Date, HyperProcess, Telemetry
from workbook import PROBLEMS, WORKBOOK, Source, query

SHOWN = 3


def as_is(text: str, like):
    """psql's text as the kind of value that the extract has there."""
    if text == "\\N" or like is None:
        return None if text == "\\N" else text
    if isinstance(like, Date):
        return date.fromisoformat(text)
    return type(like)(text)


def same(left: tuple, right: tuple) -> bool:
    """Whether two rows are equal, doubles to nine digits."""
    close = lambda a, b: math.isclose(a, b, rel_tol=1e-9) if isinstance(a, float) and isinstance(b, float) else a == b
    return all(map(close, left, right))


def ordered(rows: list[tuple]) -> list[tuple]:
    """Rows in an order of their own; nulls first."""
    return sorted(rows, key=lambda row: tuple((value is not None, value) for value in row))


def check(name: str, extract: list[tuple], text: list[list[str]]) -> None:
    """Compares the rows of one sheet."""
    if len(extract) != len(text) or not extract:
        PROBLEMS.append(f"{name}: {len(extract)} rows from the extract, {len(text)} over SQL")
        return
    # A column's kind is that of its first value that is there.
    likes = [next((row[place] for row in extract if row[place] is not None), None) for place in range(len(extract[0]))]
    over_sql = ordered([tuple(map(as_is, row, likes)) for row in text])
    plain = ordered([tuple(v.to_date() if isinstance(v, Date) else v for v in row) for row in extract])
    wrong = [pair for pair in zip(plain, over_sql) if not same(*pair)]
    PROBLEMS.extend(f"{name}: {ours} from the extract, {theirs} over SQL" for ours, theirs in wrong[:SHOWN])
    print(f"      {name}: {len(extract)} rows, {len(wrong)} differ")


def main() -> int:
    where = json.loads(Path(sys.argv[1]).read_text())
    document = etree.parse(WORKBOOK).getroot()
    sources = {xml.get("name"): Source(xml) for xml in document.findall("datasources/datasource")}
    with HyperProcess(Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU, parameters={"log_config": ""}) as hyper:
        extract = Path(where["exports"], "streamreel.hyper")
        with Connection(hyper.endpoint, extract, CreateMode.NONE) as connection:
            for sheet in document.findall("worksheets/worksheet"):
                source = sources[sheet.find(".//view/datasources/datasource").get("name")]
                live = sources[source.name.replace("hyper_", "postgres_")]
                asked = query(sheet, source)
                rows = [tuple(row) for row in connection.execute_list_query(asked)]
                text = sql.rows_by_psql(where["sql_port"], asked.replace(source.sql, live.sql), Path(where["scratch"]))
                check(sheet.get("name"), rows, text)
    for problem in PROBLEMS:
        print(f"WRONG {problem}")
    print(f"tableau: {len(PROBLEMS)} problems")
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
