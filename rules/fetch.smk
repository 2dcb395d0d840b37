# Needs: the network, or local files that the config names. Makes: <downloads>/, each file verified, with its record.

SOURCE_OF_FILE = {source.file: name for name, source in SOURCES.items()}
if len(SOURCE_OF_FILE) < len(SOURCES):
    sys.exit(
        "nucleobert: error: config: sources: two sources have one file name; rename one of the files"
    )


rule fetch_source:
    """Download a source, or link a local file; verify it, and record its digest."""
    input:
        local=lambda w: source_of(w).path or [],
    output:
        target="<downloads>/{file}",
        record="<downloads>/{file}.json",
    log:
        "<results>/logs/fetch_source/{file}.log",
    wildcard_constraints:
        file=one_of(map(re.escape, SOURCE_OF_FILE)),
    conda:
        "../envs/data.yaml"
    resources:
        downloads=1,
    params:
        source=lambda w: dataclasses.asdict(source_of(w)),
        code=code("fetch_source"),
    script:
        "../scripts/fetch_source.py"


rule fetch:
    """Stage: every source that the systems to run need."""
    input:
        [fetched(source) for source in SOURCES],
