// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/support/fake_store.h"
#include "tests/unit/vfsctl/fake_libvirt.h"
#include "vfsctl/program.h"
#include "vfsctl/verbs.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace vfskit::test {

/// vfsctl in process: a store in memory, a made-up node "n1", captured streams.
class ProgramUnderTest {
public:
    ProgramUnderTest()
        : environment{
              .out = out_,
              .err = err_,
              .in = in,
              .node_name = "n1",
              .variable = [this](const std::string& name) { return variables[name]; },
              .open_store =
                  [this](std::string_view url) -> Result<std::unique_ptr<store::MappingStore>> {
                  opened_url = url;
                  return std::unique_ptr<store::MappingStore>{new FakeStore{content}};
              },
              .run_process = [](const ProcessSpec& spec) -> Result<base::ProcessOutput> {
                  return Error{ENOENT, "There is no " + spec.program};
              },
              .collect_facts =
                  [this](const node::CollectRequest& request) {
                      collect_request = request;
                      node::NodeFacts facts;
                      facts.node = request.node;
                      facts.collected_at = collected_at;
                      facts.vfskit_version = request.vfskit_version;
                      facts.problems = request.problems;
                      return facts;
                  },
              .open_facts = [this](std::string_view) -> Result<std::unique_ptr<store::FactsStore>> {
                  return store::open_facts_directory(facts_directory);
              },
              .run_ssh = [](const ProcessSpec&) -> Result<base::ProcessOutput> {
                  return Error{ENOENT, "There is no ssh"};
              },
              .connect_libvirt = [this](const std::string& uri)
                  -> Result<std::unique_ptr<vfsctl::LibvirtConnection>> {
                  const auto host = libvirt.find(uri);
                  if (host == libvirt.end()) {
                      return Error{ECONNREFUSED, "Cannot connect to '" + uri + "'"};
                  }
                  return std::unique_ptr<vfsctl::LibvirtConnection>{
                      new FakeLibvirt{uri, host->second}};
              },
              .is_directory = [](const std::string&) { return true; },
              .is_executable = [](const std::string&) { return true; },
              .pause = [this](std::chrono::milliseconds) { on_pause(); },
              .catch_interrupt = [this]() -> const std::atomic<bool>& { return interrupted; },
              .connect_systemd = [] { return Result{std::unique_ptr<launch::ServiceManager>{}}; }} {
    }

    vfsctl::ExitCode run(const std::vector<std::string>& words) {
        out_.str("");
        err_.str("");
        return vfsctl::run_program(vfsctl::all_verbs(), words, environment);
    }
    [[nodiscard]] std::string out() const { return out_.str(); }
    [[nodiscard]] std::string err() const { return err_.str(); }
    [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out_.str()); }

    void add(std::string id, std::vector<mapping::NodePath> paths) {
        mapping::DirectoryMapping mapping;
        mapping.id = std::move(id);
        mapping.paths = std::move(paths);
        content->snapshot.mappings.push_back(std::move(mapping));
    }
    [[nodiscard]] const mapping::DirectoryMapping* find(std::string_view id) const {
        return content->snapshot.find(id);
    }

    std::shared_ptr<FakeStoreContent> content = std::make_shared<FakeStoreContent>();
    std::map<std::string, std::string> variables;
    std::atomic<bool> interrupted = false;
    std::string opened_url;
    node::CollectRequest collect_request; ///< what was last asked for
    node::Time collected_at =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    std::string facts_directory = "/nonexistent";
    std::map<std::string, FakeHost> libvirt; // by uri
    std::istringstream in;
    /// What happens while a verb waits.
    std::function<void()> on_pause = [] {};

private:
    std::ostringstream out_;
    std::ostringstream err_;

public:
    vfsctl::Environment environment;
};

} // namespace vfskit::test
