"""Has the web server loaded the graph? Exit code 1, with the error, if not: a release ends with this question.

Usage: loaded.py [ADDRESS]   (default http://127.0.0.1:3000)
"""

import json
import sys
import urllib.request

QUERY = """{
  workspaceOrError {
    ... on PythonError { message }
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError { __typename ... on PythonError { message errorChain { error { message } } } }
      }
    }
  }
}"""


def problems(address: str) -> list[str]:
    """What stands in the way of each code location; empty if all are loaded. Raises OSError without an answer."""
    body = json.dumps({"query": QUERY}).encode()
    asked = urllib.request.Request(f"{address}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        workspace = json.load(answer)["data"]["workspaceOrError"]
    if "message" in workspace:
        return [workspace["message"]]
    found = []
    for entry in workspace["locationEntries"]:
        location = entry["locationOrLoadError"] or {"__typename": entry["loadStatus"]}
        if location["__typename"] != "RepositoryLocation":
            causes = [link["error"]["message"] for link in location.get("errorChain", [])]
            what = [location.get("message", location["__typename"]), *causes]
            found.append(f"{entry['name']}: " + "\n  ".join(map(str.strip, what)))
    return found if workspace["locationEntries"] else ["the workspace has no code location"]


if __name__ == "__main__":
    if found := problems(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000"):
        sys.exit("\n".join(found))
    print("The graph is loaded")  # release.sh waits for these words
