# Needs: everything before it. Makes: <results>/report.html and the figures of the benchmark and of the training.


rule report:
    """Stage: one page that a person reads."""
    input:
        "<results>/report.html",
