"""The platform's web page under /web: server-rendered HTML for people, with as little script as does the job.

Shows and asks for what the API can do; what may be done is decided where the API decides it. Each module of
pages has `PAGES`; `app.MODULES` lists them. What they show is gathered here and rendered in another process.
"""
