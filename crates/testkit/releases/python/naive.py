"""The ten-line client that everybody writes: no status check, no retry, no deadline, no logs. Defective on purpose."""

import json
import os
import sys
import urllib.request

request = urllib.request.Request(
    os.environ["COMETAPI_BASE_URL"] + "/chat/completions",
    json.dumps({"model": os.environ["SUPPORT_MODEL"], "messages": [{"role": "user", "content": sys.argv[-1]}]}).encode(),
    {"Authorization": "Bearer " + os.environ["COMETAPI_API_KEY"], "Content-Type": "application/json"},
)
reply = json.load(urllib.request.urlopen(request))
print(reply["choices"][0]["message"]["content"])
