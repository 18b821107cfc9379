// SPDX-License-Identifier: Apache-2.0
// How long does a store of a large cluster take: load, one change, save? Against plain yaml-cpp
// and, where they are installed, PyYAML (pure and libyaml) and Perl's YAML::XS reading the same
// file.
//
//     vfskit_bench_store [MAPPINGS [NODES]]        10000 and 16 unless told
#include "core/base/file.h"
#include "core/base/process.h"
#include "core/store/store.h"
#include "core/store/transfer.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace vfskit;
using Clock = std::chrono::steady_clock;

constexpr int repetitions = 5;
constexpr std::size_t max_file_bytes = 1U << 30U;

std::vector<mapping::DirectoryMapping> make_cluster(std::size_t mappings, std::size_t nodes) {
    std::vector<mapping::DirectoryMapping> cluster;
    for (std::size_t i = 0; i < mappings; ++i) {
        mapping::DirectoryMapping mapping;
        mapping.id = fmt::format("share-{:05}", i);
        mapping.description = fmt::format("Share number {} of the benchmark", i);
        mapping.live_migration_method = mapping::MigrationMethod::find_paths;
        for (std::size_t n = 0; n < nodes; ++n) {
            mapping.paths.push_back(
                {fmt::format("node{:02}", n), fmt::format("/srv/shares/share-{:05}", i)});
        }
        cluster.push_back(std::move(mapping));
    }
    return cluster;
}

struct Measured {
    double milliseconds = 0;     // by the clock on the wall
    double cpu_milliseconds = 0; // of it on a CPU: what a busy machine does not distort
    double mebibytes = 0;        // the largest resident set
    bool worked = false;
};

// Runs `body` in a child, so that each measurement has a fresh heap and its own resident set.
Measured measure_once(const std::function<bool()>& body) {
    int pipe_ends[2] = {-1, -1};
    if (::pipe(pipe_ends) != 0) {
        return {};
    }
    const pid_t pid = ::fork();
    if (pid == 0) {
        const auto begin = Clock::now();
        const bool worked = body();
        const double taken =
            std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
        const bool told = ::write(pipe_ends[1], &taken, sizeof taken) == sizeof taken;
        ::_exit(worked && told ? 0 : 1);
    }
    Measured measured;
    ::close(pipe_ends[1]);
    const bool heard =
        ::read(pipe_ends[0], &measured.milliseconds, sizeof(double)) == sizeof(double);
    ::close(pipe_ends[0]);
    int status = 0;
    rusage usage{};
    ::wait4(pid, &status, 0, &usage);
    const auto in_milliseconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
    };
    measured.cpu_milliseconds = in_milliseconds(usage.ru_utime) + in_milliseconds(usage.ru_stime);
    measured.mebibytes = static_cast<double>(usage.ru_maxrss) / 1024;
    measured.worked = heard && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    return measured;
}

Measured measure(const std::function<bool()>& body) {
    std::vector<Measured> all;
    for (int i = 0; i < repetitions; ++i) {
        all.push_back(measure_once(body));
        if (!all.back().worked) {
            return all.back();
        }
    }
    std::sort(all.begin(), all.end(), [](const Measured& a, const Measured& b) {
        return a.cpu_milliseconds < b.cpu_milliseconds;
    });
    return all[all.size() / 2];
}

double load_milliseconds = 0;

void report(std::string_view what, const Measured& measured) {
    if (!measured.worked) {
        fmt::print("{:<44} not available\n", what);
        return;
    }
    fmt::print("{:<42} {:>8.1f} ms {:>8.1f} ms {:>7.1f} MiB",
               what,
               measured.cpu_milliseconds,
               measured.milliseconds,
               measured.mebibytes);
    if (load_milliseconds > 0) {
        fmt::print(" {:>6.1f} x", measured.cpu_milliseconds / load_milliseconds);
    }
    fmt::print("\n");
}

bool load(const std::string& url) {
    auto store = store::open_store(url);
    return store && (*store)->snapshot().has_value();
}

bool change_one(const std::string& url, std::size_t index) {
    auto store = store::open_store(url);
    if (!store) {
        return false;
    }
    const auto updated =
        store::update(**store, [&](const store::Snapshot& now) -> Result<std::vector<store::Edit>> {
            auto mapping = now.mappings.at(index);
            mapping.description = mapping.description.value_or("") + "!";
            return std::vector<store::Edit>{store::PutMapping{mapping}};
        });
    return updated.has_value();
}

bool write_copy(const std::string& from, const std::string& to) {
    const auto text = base::read_file(from, max_file_bytes);
    return text && base::replace_file(to, *text).has_value();
}

bool load_by_yaml_cpp(const std::string& path) {
    const YAML::Node root = YAML::LoadFile(path);
    std::size_t bytes = 0;
    for (const auto& mapping : root["mappings"]) {
        for (const auto& node : mapping.second["nodes"]) {
            bytes += node.first.Scalar().size() + node.second.Scalar().size();
        }
    }
    return bytes > 0;
}

bool run(const std::vector<std::string>& command) {
    base::ProcessSpec spec;
    spec.program = command.front();
    spec.args = {command.begin() + 1, command.end()};
    const auto output = base::run_and_capture(spec, std::chrono::minutes{5});
    return output && output->exit_status == 0;
}

void print_machine() {
    utsname name{};
    ::uname(&name);
    std::string model = "unknown CPU";
    std::ifstream cpuinfo{"/proc/cpuinfo"};
    for (std::string line; std::getline(cpuinfo, line);) {
        if (line.starts_with("model name")) {
            model = line.substr(line.find(':') + 2);
            break;
        }
    }
    fmt::print("{}, {} CPUs, {} {}, g++ {}\n",
               model,
               ::sysconf(_SC_NPROCESSORS_ONLN),
               name.sysname,
               name.release,
               __VERSION__);
#ifndef NDEBUG
    fmt::print("This is no release build: the numbers say little\n");
#endif
}

std::size_t argument(int argc, char** argv, int index, std::size_t fallback) {
    if (index >= argc) {
        return fallback;
    }
    const std::string_view text{argv[index]};
    std::size_t value = fallback;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

} // namespace

int main(int argc, char** argv) {
    const std::size_t mappings = argument(argc, argv, 1, 10000);
    const std::size_t nodes = argument(argc, argv, 2, 16);
    std::string directory = "/tmp/vfskit-bench-XXXXXX";
    if (::mkdtemp(directory.data()) == nullptr) {
        return EXIT_FAILURE;
    }
    const std::string path = directory + "/mappings.yaml";
    const std::string url = "yaml:" + path;
    // In a child, so that the cluster is in no later child's memory.
    const auto made = measure_once([&] {
        const auto text =
            store::export_mappings(make_cluster(mappings, nodes), store::DocumentFormat::yaml);
        return text && base::replace_file(path, *text).has_value();
    });
    struct stat info {};
    if (!made.worked || ::stat(path.c_str(), &info) != 0) {
        return EXIT_FAILURE;
    }
    print_machine();
    fmt::print(
        "{} mappings x {} nodes, {:.1f} MiB of YAML; median of {}, each in a fresh process\n",
        mappings,
        nodes,
        static_cast<double>(info.st_size) / (1 << 20),
        repetitions);
    fmt::print("\n{:<42} {:>11} {:>11} {:>11} {:>8}\n", "", "CPU", "wall", "memory", "to load");
    const auto loaded = measure([&] { return load(url); });
    report("load (snapshot)", loaded);
    load_milliseconds = loaded.cpu_milliseconds;
    report("load, change the first mapping, save", measure([&] { return change_one(url, 0); }));
    report("load, change the last mapping, save",
           measure([&] { return change_one(url, mappings - 1); }));
    report("read(2) of the file alone",
           measure([&] { return base::read_file(path, max_file_bytes).has_value(); }));
    report("read, write and fsync(2) of the file alone",
           measure([&] { return write_copy(path, directory + "/copy"); }));
    report("yaml-cpp, load only", measure([&] { return load_by_yaml_cpp(path); }));
    report("PyYAML with libyaml, load only, with start", measure([&] {
               return run({"/usr/bin/python3",
                           "-c",
                           "import yaml,sys; yaml.load(open(sys.argv[1]), yaml.CSafeLoader)",
                           path});
           }));
    report(
        "Perl YAML::XS, load only, with start", measure([&] {
            return run({"/usr/bin/perl", "-MYAML::XS", "-e", "YAML::XS::LoadFile($ARGV[0])", path});
        }));
    for (const auto& name : {"/mappings.yaml", "/mappings.yaml.lock", "/copy"}) {
        ::unlink((directory + name).c_str());
    }
    ::rmdir(directory.c_str());
    return EXIT_SUCCESS;
}
