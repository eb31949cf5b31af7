"""schemathesis against the server's own OpenAPI document: no server error, and answers are as the document says.

    conformance.py WHERE.json          (as run.py writes it)
"""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import tools
from server import Served

CHECKS = ",".join((
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "unsupported_method",
))
# A stream does not end, so it is not asked for; its content is /live/now's.
STREAM = "/api/v1/live"
EXAMPLES = 40
# As many operations as the document must have, or it is not the whole API that is tested.
OPERATIONS = 15


def main() -> int:
    where = json.loads(Path(sys.argv[1]).read_text())
    server = Served(where)
    document = server.json("/api/v1/openapi.json")
    operations = [f"{method} {path}" for path, item in document["paths"].items() for method in item if method != "parameters"]
    if not document["openapi"].startswith("3.1") or len(operations) < OPERATIONS:
        print(f"WRONG OpenAPI {document['openapi']} with {len(operations)} operations: {operations}")
        return 1
    command = [
        Path(sys.executable).with_name("schemathesis"), "run", f"{server.url}/api/v1/openapi.json", f"--url={server.url}",
        f"--checks={CHECKS}", f"--max-examples={EXAMPLES}", f"--exclude-path={STREAM}", "--phases=examples,coverage,fuzzing",
        "--generation-deterministic", "--request-timeout=20", "--continue-on-failure", "--no-color",
        f"--report-junit-path={Path(where['scratch'], 'schemathesis.xml')}", "--report=junit",
    ]
    tools.say(f"schemathesis: {len(operations)} operations")
    done = subprocess.run([str(part) for part in command], cwd=where["scratch"], check=False)
    return 1 if done.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
