"""The page of ``inspect --html``: one file that needs no network and no server.

`render.render_page` takes the report. Its text reaches the page through `markup` alone, so none of
it can become markup; of long tables most rows are packed, as data for the script (``page.js``).
Without the script, the page has all else: it sorts, searches, draws and copies.
"""
