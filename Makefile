# Two commands: `make paper` sets everything up and runs the main job, `make test` passes the tests.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= $(shell nproc)
MATERIALS ?=
DRIVER := .venvs/driver
# The families that `make test` tests: those of the main job, and every other one whose environment stands.
BUILT = $(filter-out driver gpaw vasp,$(patsubst .venvs/%.ok,%,$(wildcard .venvs/*.ok)))
FAMILIES = $(sort chgnet sevennet $(BUILT))
ASKED = $(if $(filter file,$(origin FAMILIES)),$(shell $(DRIVER)/bin/python scripts/list_models.py --environments),$(FAMILIES))
RUN = PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" snakemake --cores $(CORES) --rerun-incomplete --quiet host rules reason \
	$(if $(MATERIALS),--config materials=$(MATERIALS))

.PHONY: paper test driver-tests check slurm kills lint environments models weights bench status costs archive verify clean help

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

$(DRIVER).ok: envs/driver.txt
	@$(PYTHON) scripts/build_environment.py driver $(DRIVER) $@

HELD = flock --nonblock --close --conflict-exit-code 75 .lock sh -c
SAY = { [ $$? = 75 ] && echo "another make works in this folder: wait for it, or see make status" \
	|| echo "make $@ did not finish: see above, and results/logs"; exit 1; }

# One driver a folder: flock holds the folder while Snakemake works in it, so a lock that a kill left behind can be removed.
paper: $(DRIVER).ok  ## set everything up, run the main job, print the ledger (MATERIALS=deng2025_s1 for all 147 surfaces)
	@$(HELD) '$(RUN) --unlock >/dev/null 2>&1; $(RUN)' || $(SAY)
	@cat results/claims.txt
	@echo "report: results/report/index.html"

test: $(DRIVER).ok  ## set everything up, pass the tests
	@PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" snakemake $(FAMILIES:%=.venvs/%.ok) --cores $(CORES) --quiet all
	@$(MAKE) --no-print-directory weights || echo "some weights could not be fetched: the tests of their models are skipped"
	@$(MAKE) --no-print-directory -j2 driver-tests $(FAMILIES:%=contract-%)

# The driver's tests use one core; the contract of the models, in each family's environment, goes on beside them.
driver-tests:
	@MAKEFLAGS= $(DRIVER)/bin/python -m pytest tests -m "not slurm"

contract-%:
	@mkdir -p results/logs; MAKEFLAGS= .venvs/$*/bin/python -m pytest tests/contract >results/logs/contract-$*.log 2>&1; \
		code=$$?; cat results/logs/contract-$*.log; exit $$code

# The environments that `make environments` builds: all families', or those that FAMILIES names.
environments: $(DRIVER).ok  ## build the families' environments (FAMILIES="mace orb" for some); says their size first
	@$(DRIVER)/bin/python scripts/list_models.py --sizes $(ASKED)
	@PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" snakemake $(ASKED:%=.venvs/%.ok) --cores 1 --keep-going --quiet all

models: $(DRIVER).ok  ## every registered model: installed, weights, conformant, cost per atom
	@PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" snakemake prove_models --cores $(CORES) --keep-going --quiet all || true
	@$(DRIVER)/bin/python scripts/list_models.py

weights: $(DRIVER).ok  ## fetch the weights that no package brings (from $$PESBENCH_WEIGHTS, where it is set)
	@PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" snakemake fetch_weights --cores 1 --keep-going --quiet all

# The package without Snakemake.
PESBENCH = PYTHONPATH=scripts $(DRIVER)/bin/python -m pesbench

status: $(DRIVER).ok  ## how far the run in this folder is, also while it goes on
	@$(PESBENCH) status --html results/report/status.html

costs: $(DRIVER).ok  ## learn from the records what materials cost, for later chunks, memory and time
	@$(PESBENCH) costs

archive: $(DRIVER).ok  ## one archive of the finished run, to be deposited: results/archive/pesbench.tar.gz
	@$(HELD) '$(RUN) --unlock >/dev/null 2>&1; $(RUN) -- results/archive/pesbench.tar.gz' || $(SAY)
	@sha256sum results/archive/pesbench.tar.gz

verify: $(DRIVER).ok  ## rebuild tables and figures from ARCHIVE alone, compare bytes
	@PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" $(DRIVER)/bin/python scripts/verify_archive.py "$(ARCHIVE)"

# ENVIRONMENT:MODEL, the models that `make bench` measures.
BENCH ?= chgnet:chgnet-0.3.0 sevennet:sevennet-0
bench: $(DRIVER).ok  ## what models, phonons and planning cost: results/bench (BENCH="mace:mace-mp-0-small" for others)
	@PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" snakemake \
		$(sort .venvs/chgnet.ok $(foreach pair,$(BENCH),.venvs/$(firstword $(subst :, ,$(pair))).ok)) --cores $(CORES) --quiet all
	@rm -rf results/bench/throughput
	@for pair in $(BENCH); do OMP_NUM_THREADS=1 \
		.venvs/$${pair%%:*}/bin/python scripts/bench.py results/bench $${pair##*:} || exit 1; done
	@$(DRIVER)/bin/python scripts/bench.py results/bench
	@OMP_NUM_THREADS=1 .venvs/chgnet/bin/python scripts/bench_phonons.py chgnet-0.3.0 \
		$(foreach id,1265 2657 2667 2691 2697 2741 5967 661 804,data/prototypes/mp-$(id).yaml)
	@OMP_NUM_THREADS=1 $(DRIVER)/bin/python tests/scale/flat.py results/bench
	@$(DRIVER)/bin/python tests/scale/bench_driver.py results/bench

slurm: $(DRIVER).ok  ## the workflow through a real Slurm of one node, which it starts (as root, from Debian's packages; 10 min)
	@$(DRIVER)/bin/python -m pytest tests/slurm

kills: $(DRIVER).ok  ## 200 SIGKILLs at random moments of local runs: worker, driver, during append, during merge
	@PESBENCH_KILLS=50 $(DRIVER)/bin/python -m pytest tests/e2e/test_kill.py tests/e2e/test_trouble.py

# What the check is about; the folder below results/check is called by the file's name.
STRUCTURE ?=
LABELS ?=
DFT ?=
LEVEL ?=
MODEL ?=
export STRUCTURE LABELS DFT LEVEL MODEL
PREPARE = PYTHONPATH=scripts $(DRIVER)/bin/python scripts/prepare_check.py \
	--structure "$$STRUCTURE" --labels "$$LABELS" --dft "$$DFT" --level "$$LEVEL" --models "$$MODEL"

check: $(DRIVER).ok  ## how soft models are on STRUCTURE=my.cif (LABELS=frames.extxyz or DFT=gpaw; MODEL=name,name): one page
	@run=$$($(PREPARE)) || exit 1; export run; $(HELD) '$(RUN) --unlock >/dev/null 2>&1; \
		$(RUN) all --configfile config.yaml $$run -- check && $(PESBENCH) verdict $${run%/inputs/run.json}' || $(SAY)

lint: $(DRIVER).ok  ## linters, formatters, type checker
	@PATH="$(CURDIR)/$(DRIVER)/bin:$$PATH" sh -ec 'ruff check scripts tests; ruff format --check scripts tests; \
		mypy; snakefmt --check Snakefile rules; snakemake --lint'

clean:  ## remove results, keep the environments
	rm -rf results
