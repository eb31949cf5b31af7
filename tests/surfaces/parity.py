"""For 50 pairs of a video and a filter, all surfaces say the same numbers.

    parity.py WHERE.json          (as run.py writes it)

The surfaces: the API as JSON and as CSV, psql, JDBC, the exported CSV, Parquet and Hyper files, and the page's DOM.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import api
import exports
import sql
import tools
from figures import compare
from page import Browser
from pairs import choose
from server import Served

PAIRS = 50
# Fewer pairs with views than this, and little would be compared.
WITH_VIEWS = 30
SHOWN = 40


def main() -> int:
    where = json.loads(Path(sys.argv[1]).read_text())
    server, folder, scratch = Served(where), Path(where["exports"]), Path(where["scratch"])
    files = {
        "exported Parquet": exports.Exported(exports.read_parquet(folder)),
        "exported CSV": exports.Exported(exports.read_csv(folder)),
        "exported Hyper": exports.Exported(exports.read_hyper(folder)),
    }
    groups = exports.read_parquet(folder)["seeks_after_half"]
    pairs = choose(groups, PAIRS)
    tools.say("psql and JDBC")
    psql, jdbc = sql.by_psql(server.sql_port, pairs, scratch), sql.by_jdbc(server.sql_port, pairs, scratch)
    problems, with_views = [], 0
    tools.say("files, API and page")
    with Browser(server) as browser:
        for pair, from_psql, from_jdbc in zip(pairs, psql, jdbc, strict=True):
            said = {name: exported.numbers(pair) for name, exported in files.items()}
            said |= {"psql": from_psql, "JDBC": from_jdbc, "API (JSON)": api.as_json(server, pair)}
            said |= {"API (CSV)": api.as_csv(server, pair), "page": browser.numbers(pair)}
            with_views += from_psql["views"] > 0
            problems += compare(str(pair), said)
        problems += [f"the page asked for {url}" for url in browser.elsewhere]
    if with_views < WITH_VIEWS:
        problems.append(f"only {with_views} of the pairs have views")
    for problem in problems[:SHOWN]:
        print(f"WRONG {problem}")
    print(f"parity: {PAIRS} pairs, {with_views} with views, 8 surfaces, {len(problems)} differences")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
