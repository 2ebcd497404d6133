"""Files of the public sources, and labelled frames, by themselves: for whoever asks for one.

INPUTS: the network, or a mirror (PESBENCH_MIRROR, sources.<name>.mirror in config.yaml).
OUTPUTS: results/inputs/<source>/<file>, results/inputs/materials_project/<id>.yaml, results/inputs/labelled/<set>.extxyz with its provenance beside it.
"""


localrules:
    labelled,
    source_file,
    materials_project,
    materials_project_surfaces,
    materials_project_elements,


rule labelled:
    """Fetch the published set of labelled frames {wildcards.labels}, check every frame, and write one format."""
    output:
        frames=naming.labelled("{labels}"),
        provenance=naming.labelled("{labels}").replace(".extxyz", ".provenance.json"),
    log:
        "results/logs/labelled/{labels}.log",
    benchmark:
        "results/benchmarks/labelled/{labels}.tsv"
    wildcard_constraints:
        labels="[a-z0-9_]+",
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/fetch_labelled.py"


rule source_file:
    """Fetch {wildcards.file} of {wildcards.source}: mdr/mp-149.zip, alexandria/pbe/mp-149.yaml.bz2, a file of wbm."""
    output:
        file=naming.source_file("{source}", "{file}"),
    log:
        "results/logs/source_file/{source}/{file}.log",
    benchmark:
        "results/benchmarks/source_file/{source}/{file}.tsv"
    wildcard_constraints:
        source="alexandria|mdr|wbm",
        file=r"((pbe|pbesol)/)?[A-Za-z0-9][A-Za-z0-9._-]*",
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/fetch_source.py"


rule materials_project:
    """Fetch one structure from the Materials Project (key in MP_API_KEY); the first job asks for all shipped ones."""
    output:
        structure="results/inputs/materials_project/{material}.yaml",
    log:
        "results/logs/materials_project/{material}.log",
    benchmark:
        "results/benchmarks/materials_project/{material}.tsv"
    wildcard_constraints:
        material="(mp|mvc)-[0-9]+",
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/fetch_structure.py"


rule materials_project_surfaces:
    """Fetch every slab that the Materials Project has of {wildcards.material} (crystalium), with its energy."""
    output:
        surfaces="results/inputs/materials_project/surfaces/{material}.json",
    log:
        "results/logs/materials_project/surfaces/{material}.log",
    benchmark:
        "results/benchmarks/materials_project/surfaces/{material}.tsv"
    wildcard_constraints:
        material="(mp|mvc)-[0-9]+",
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/fetch_surfaces.py"


rule materials_project_elements:
    """Fetch the most stable crystal of every element from the Materials Project, with its energy."""
    output:
        elements="results/inputs/materials_project/elements.json",
    log:
        "results/logs/materials_project/elements.log",
    benchmark:
        "results/benchmarks/materials_project/elements.tsv"
    conda:
        "../envs/driver.yaml"
    script:
        "../scripts/fetch_elements.py"
