"""The page of ``inspect --html``: one file that needs no network and no server.

`render.render_page` takes the report. Its text reaches the page through `markup` alone, so none of
it can become markup; the script (``page.js``) only sorts, searches and draws what is already there.
"""
