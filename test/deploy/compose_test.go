package deploytest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composeFile is the part of docker-compose.yml that is tested.
type composeFile struct {
	Services map[string]composeService
	Volumes  map[string]any
}

type composeService struct {
	Image       string
	Command     []string
	Environment map[string]string
	Ports       []string
	Volumes     []string
	Build       map[string]any
	MemLimit    string `yaml:"mem_limit"`
	ReadOnly    bool   `yaml:"read_only"`
}

func compose(t *testing.T) composeFile {
	t.Helper()
	var file composeFile
	ok(t, yaml.Unmarshal([]byte(read(t, filepath.Join(deploy, "docker-compose.yml"))), &file))
	return file
}

// TestComposeServices checks that each service has a memory limit and a read-only file system, listens only on loopback, and
// mounts files and volumes that exist.
func TestComposeServices(t *testing.T) {
	t.Parallel()
	file := compose(t)
	builtBy := map[string]string{}
	for name, s := range file.Services {
		if s.MemLimit == "" || !s.ReadOnly {
			t.Errorf("%s: memory limit %q, read-only %t", name, s.MemLimit, s.ReadOnly)
		}
		if built := s.Build != nil; s.Image == "" || !built && !strings.Contains(s.Image, ":") {
			t.Errorf("%s: the image %q has no tag", name, s.Image)
		} else if other := builtBy[s.Image]; built && other != "" {
			t.Errorf("%s and %s build the image %s at once", name, other, s.Image)
		} else if built {
			builtBy[s.Image] = name
		}
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s serves on %s", name, port)
			}
		}
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(from, ".") {
				_, err := os.Stat(filepath.Join(deploy, from))
				ok(t, err)
			} else if _, is := file.Volumes[from]; !is {
				t.Errorf("%s mounts %s, which is not a volume", name, from)
			}
		}
	}
}

// TestMonitoring checks that Prometheus scrapes the services' ports and reads the mounted rules, and that Grafana is provisioned
// with Prometheus and the dashboard.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	services := compose(t).Services
	var config struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	ok(t, yaml.Unmarshal([]byte(read(t, filepath.Join(deploy, "prometheus.yml"))), &config))
	targets := config.ScrapeConfigs[0].StaticConfigs[0].Targets
	if !slices.Equal(targets, []string{"ddltail:9797", "listen:9798"}) {
		t.Errorf("targets %q", targets)
	}
	for _, target := range targets {
		name, port, _ := strings.Cut(target, ":")
		if !slices.Contains(services[name].Ports, "127.0.0.1:"+port+":"+port) {
			t.Errorf("%s serves on %q", target, services[name].Ports)
		}
	}
	for _, rules := range config.RuleFiles {
		if !slices.Contains(services["prometheus"].Volumes, "./"+rules+":/etc/prometheus/"+rules+":ro") {
			t.Errorf("%s is not mounted", rules)
		}
	}
	provisioned(t, services["grafana"])
}

func provisioned(t *testing.T, grafana composeService) {
	t.Helper()
	var sources struct {
		Datasources []struct{ Type, URL string }
	}
	var dashboards struct {
		Providers []struct {
			Type    string
			Options struct{ Path string }
		}
	}
	const folder = root + "/deploy/grafana/provisioning/"
	ok(t, yaml.Unmarshal([]byte(read(t, folder+"datasources/prometheus.yml")), &sources))
	ok(t, yaml.Unmarshal([]byte(read(t, folder+"dashboards/ddltail.yml")), &dashboards))
	if s := sources.Datasources; len(s) != 1 || s[0].Type != "prometheus" || s[0].URL != "http://prometheus:9090" {
		t.Errorf("data sources %+v", s)
	}
	if p := dashboards.Providers; len(p) != 1 || p[0].Type != "file" ||
		!slices.Contains(grafana.Volumes, "../grafana/ddltail.json:"+p[0].Options.Path+"/ddltail.json:ro") ||
		grafana.Environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] != p[0].Options.Path+"/ddltail.json" {
		t.Errorf("providers %+v, volumes %q", p, grafana.Volumes)
	}
	for _, folder := range []string{"datasources", "dashboards"} {
		if !slices.Contains(grafana.Volumes, "../grafana/provisioning/"+folder+":/etc/grafana/provisioning/"+folder+":ro") {
			t.Errorf("%s are not provisioned", folder)
		}
	}
	if !json.Valid([]byte(read(t, dashboard))) || !regexp.MustCompile(`"query": "prometheus"`).MatchString(read(t, dashboard)) {
		t.Error("the dashboard has no data source of type prometheus")
	}
}
