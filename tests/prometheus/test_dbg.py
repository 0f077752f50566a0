from tests.prometheus.test_live import *
def test_dbg(scraped_installation):
    p = scraped_installation.prometheus
    import json
    for q in ('accord_http_request_duration_seconds_count','sum by (route, le) (rate(accord_http_request_duration_seconds_bucket{node=~".*"}[5m]))'):
        for s in p.api("query", query=q)["result"]: print("DBG", s["metric"].get("route"), s["metric"].get("le"), s["value"][1])
    print("RAW", [l for l in get(scraped_installation.here.at(scraped_installation.here.panel,"metrics"))[1].splitlines() if "http_request_duration_seconds_count" in l])
