# One door: `make` lists everything.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

PYTHON ?= python3
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
export PATH := $(BIN):$(PATH)

LAB ?= demo
LAB_TOOL := $(PYTHON) tests/lab/lab.py
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/multimaster-kubernetes
LAB_INVENTORY := $(CACHE)/labs/$(LAB)/inventory.json
LAB_SETTINGS := tests/lab/settings.yml
NAMESPACE := collections/ansible_collections/multimaster/kubernetes
# What the default versions need, and the second release of Kubernetes and etcd, which components-next builds.
COMPONENTS := kubernetes-1.36.3 etcd-3.6.16 containerd-2.3.7 runc-1.5.2 cni-plugins-1.9.1 coredns-1.14.7 \
  flannel-0.27.4 pause-3.10.2
NEXT_COMPONENTS := kubernetes-1.37.2 etcd-3.7.3
APT_PACKAGES := podman runc conmon netavark aardvark-dns iptables debootstrap debian-archive-keyring openssh-client \
  iproute2 make git gcc libc6-dev libseccomp-dev pkg-config python3-venv
# The scenarios of `make test`, in this order; test-long runs all there are.
SCENARIOS ?= single life external_etcd
ALL_SCENARIOS := $(sort $(notdir $(patsubst %/molecule.yml,%,$(wildcard molecule/*/molecule.yml))))

.PHONY: help
help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	echo "  variables: LAB=demo (a lab's name), S=name (a scenario), PYTHON=python3, LAB_SUBNET=10.89.67.0/24"

.PHONY: setup
setup: $(VENV)/.complete ## Make the Python environment; as root on Debian also install the lab's programs
	@need=""
	for program in podman runc debootstrap iptables ssh-keygen ip gcc; do
	  PATH="$$PATH:/usr/sbin:/sbin" command -v $$program >/dev/null || need="$$need $$program"
	done
	[ -e /usr/include/seccomp.h ] || need="$$need libseccomp-dev"
	if [ -n "$$need" ] && [ "$$(id -u)" = 0 ] && [ -e /etc/debian_version ]; then
	  apt-get -q update
	  DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends $(APT_PACKAGES)
	elif [ -n "$$need" ]; then
	  echo "A lab needs root and these programs, missing here:$$need" >&2
	  echo "On Debian 12 or 13: sudo apt-get install $(APT_PACKAGES)" >&2
	fi
	$(PYTHON) components/build.py --check || echo "Without it: make unit, lint, sanity, and make demo where hosts can fetch releases." >&2

$(VENV)/.complete: requirements.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) -V). Give another one: make PYTHON=…" >&2; exit 1; }
	[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt -c constraints.txt
	touch $@

.PHONY: pins
pins: ## Write constraints.txt anew: what the pinned tools need in turn, of today
	@fresh=$$(mktemp -d)
	trap 'rm -rf "$$fresh"' EXIT
	$(PYTHON) -m venv "$$fresh"
	"$$fresh/bin/python" -m pip install --quiet -r requirements-dev.txt
	{
	  echo "# What the packages of requirements-dev.txt need in turn, as they were last checked together; \`make pins\` writes it."
	  "$$fresh/bin/python" -m pip freeze | grep -vFf <(sed -n 's/^\([a-z-]*==\).*/\1/p' requirements.txt requirements-dev.txt)
	} > constraints.txt

# Asked first by all that needs Go, so that none ends in the middle for want of it.
.PHONY: go
go: ## See whether Go is here, which scenario, integration, prober-test and components need
	@$(PYTHON) components/build.py --check

.PHONY: components
components: go ## Build the upstream components of the default versions into the cache
	@$(PYTHON) components/build.py $(COMPONENTS)

.PHONY: components-next
components-next: components ## Build the versions an upgrade goes to as well
	@$(PYTHON) components/build.py $(NEXT_COMPONENTS)

# With internet the hosts fetch the official releases, and nothing is built.
.PHONY: artifacts
artifacts:
	@[ "$$($(LAB_TOOL) source $(LAB))" = release ] || $(MAKE) --no-print-directory components

# Scenarios upgrade a cluster, so they need both releases.
.PHONY: artifacts-next
artifacts-next:
	@[ "$$($(LAB_TOOL) source $(LAB))" = release ] || $(MAKE) --no-print-directory components-next

.PHONY: lab-up
lab-up: ## Bring up the hosts of LAB
	@$(LAB_TOOL) up $(LAB)

.PHONY: lab-down
lab-down: ## Remove the hosts of LAB and all that belongs to them
	@$(LAB_TOOL) down $(LAB)

.PHONY: lab-status
lab-status: ## Show the hosts of LAB
	@$(LAB_TOOL) status $(LAB)

.PHONY: demo
demo: setup artifacts lab-up ## Build a cluster of five hosts from nothing
	@time $(BIN)/ansible-playbook -i $(LAB_INVENTORY) -i $(LAB_SETTINGS) site.yml
	$(LAB_TOOL) status $(LAB)
	echo "Reach it: KUBECONFIG=$(CACHE)/labs/$(LAB)/admin.conf kubectl get nodes    Remove it: make lab-down LAB=$(LAB)"

.PHONY: unit
unit: $(VENV)/.complete ## Run the unit tests
	@cd $(NAMESPACE) && PYTHONPATH=$(CURDIR)/collections $(BIN)/python -m pytest -q -n auto tests/unit

.PHONY: prober-test
prober-test: go ## Test the program that counts failed requests
	@cd components/prober && go vet ./... && go test ./...

.PHONY: lint
lint: $(VENV)/.complete ## Check style, YAML, roles and playbooks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --nocolor
	$(BIN)/antsibull-changelog lint
	$(BIN)/python tests/tools/generate.py --check

.PHONY: integration
integration: go $(VENV)/.complete components ## Try the modules on a real etcd, API server and playbooks, on loopback
	@$(PYTHON) components/build.py $(filter etcd-%,$(NEXT_COMPONENTS))
	@cd $(NAMESPACE) && PYTHONPATH=$(CURDIR)/collections $(BIN)/python -m pytest -q tests/integration

.PHONY: sanity
sanity: $(VENV)/.complete ## Build the tarball, install it offline, run ansible-test sanity on it
	@$(BIN)/python tests/tools/sanity.py

.PHONY: docs
docs: $(VENV)/.complete ## Write what is derived: roles' defaults and READMEs, the reference pages
	@$(BIN)/python tests/tools/generate.py

.PHONY: scenario
scenario: go setup artifacts-next ## Run one Molecule scenario: make scenario S=name
	@[ -n "$(S)" ] || { echo "Name one: make scenario S=name, of: $(ALL_SCENARIOS)" >&2; exit 2; }
	$(PYTHON) components/build.py prober
	$(BIN)/molecule destroy --no-command-borders -s $(S)
	$(BIN)/molecule test --no-command-borders -s $(S)

.PHONY: scenarios
scenarios: ## List the scenarios of `make test`
	@echo $(SCENARIOS)

.PHONY: test
test: go setup ## Run what CI runs: unit tests, lint, sanity, integration, the prober's tests, the scenarios
	@$(BIN)/python tests/tools/run_all.py $(if $(WITHIN),--within $(WITHIN))

.PHONY: test-long
test-long: go setup ## Run what `make test` runs with every scenario, also the long ones; one that fails stops no other
	@$(BIN)/python tests/tools/run_all.py $(ALL_SCENARIOS)

.PHONY: bench
bench: setup artifacts ## Measure the times that docs/performance.md promises
	@$(BIN)/python tests/bench/bench.py

.PHONY: clean
clean: lab-down ## Remove the hosts of LAB and the caches of this checkout; other labs, built components and images stay
	@rm -rf .pytest_cache .ruff_cache .hypothesis .ansible
	echo "Left: $(CACHE) (components, other labs) and the node images (podman images localhost/multimaster-node)."
