"""schemathesis against the server's own OpenAPI document: no server error, and answers are as the document says.

    conformance.py WHERE.json          (as run.py writes it)
"""

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import tools
from server import Served

CONFIG = HERE / "schemathesis.toml"
# As many operations as the document must have, or it is not the whole API that is tested.
OPERATIONS = 15
# What it tells of a failure has the whole request in it.
LONGEST_LINE = 600


def run(server: Served, scratch: Path, name: str, config: str, *flags: str) -> bool:
    """One run; prints what it says, and whether all went well."""
    file = scratch / f"schemathesis-{name}.toml"
    file.write_text(config)
    command = [Path(sys.executable).with_name("schemathesis"), "--no-color", f"--config-file={file}", "run",
               f"{server.url}/api/v1/openapi.json", f"--url={server.url}", "--report=junit",
               f"--report-junit-path={scratch / f'schemathesis-{name}.xml'}", *flags]
    done = subprocess.run([str(part) for part in command], cwd=scratch, check=False, capture_output=True, text=True)
    lines = (done.stdout + done.stderr).splitlines()
    shown = lines if done.returncode else [line for line in lines if "generated," in line or "Tested:" in line]
    for line in shown:
        print(f"      {line[:LONGEST_LINE]}")
    return done.returncode == 0


def main() -> int:
    where = json.loads(Path(sys.argv[1]).read_text())
    server, scratch = Served(where), Path(where["scratch"])
    document = server.json("/api/v1/openapi.json")
    operations = [f"{method} {path}" for path, item in document["paths"].items() for method in item if method != "parameters"]
    if not document["openapi"].startswith("3.1") or len(operations) < OPERATIONS:
        print(f"WRONG OpenAPI {document['openapi']} with {len(operations)} operations: {operations}")
        return 1
    config = CONFIG.read_text()
    video = server.json("/api/v1/videos?limit=1")["items"][0]["video_id"]
    tools.say(f"schemathesis: {len(operations)} operations")
    good = run(server, scratch, "all", config)
    # Of a made-up video there is only to say that there is none; so once more, of one that is there.
    known = f"parameters = {{ \"path.video_id\" = {json.dumps(video)} }}\n{config}"
    tools.say(f"schemathesis: the video {video}")
    good &= run(server, scratch, "video", known, "--include-path-regex=video_id")
    print(f"conformance: {'no problem' if good else 'problems'} in {len(operations)} operations")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
