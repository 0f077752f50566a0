"""A provider's own plans: the first one as it is shipped, and a smaller one."""

PLANS = """
[starter]
features = ["download", "export", "api"]
longest_keep_days = 0
formats = ["opus", "wav"]

[basic]
features = []
longest_keep_days = 14
formats = ["wav"]

[basic.name]
en = "Basic"
fr = "Essentiel"
"""
