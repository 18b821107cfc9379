// SPDX-License-Identifier: Apache-2.0
#include "vfsctl/cli/completion.h"

#include "vfsctl/cli/parser.h"

#include <algorithm>
#include <set>

namespace vfskit::vfsctl {

namespace {

// Reads the words before the last one.
class Reader {
public:
    explicit Reader(const VerbTable& table)
        : table_{table}, globals_{make_global_options(unused_)} {}

    void read(const std::string& word) {
        if (awaiting_ != nullptr) {
            awaiting_ = nullptr;
        } else if (word == "--" && !is_literal_) {
            is_literal_ = true;
        } else if (word.starts_with('-') && !is_literal_) {
            read_option(word);
        } else if (invocation_.options == nullptr) {
            read_verb(word);
        } else {
            ++arguments_;
        }
    }

    Completion complete(const std::string& word) const {
        if (awaiting_ != nullptr) {
            return value_of(awaiting_->spec, word, "");
        }
        if (word.starts_with('-') && !is_literal_) {
            return complete_option(word);
        }
        if (invocation_.options == nullptr) {
            return complete_verb(word);
        }
        return complete_argument(word);
    }

private:
    void read_option(const std::string& word) {
        const auto name = word.substr(0, word.find('='));
        given_.insert(name);
        const auto* entry = find(name);
        if (entry != nullptr && !entry->spec.is_flag() && word.find('=') == std::string::npos) {
            awaiting_ = entry;
        }
    }

    void read_verb(const std::string& word) {
        if (word == "help" && path_.empty()) {
            return;
        }
        path_ += path_.empty() ? word : " " + word;
        if (const auto* verb = table_.find(path_); verb != nullptr) {
            invocation_ = verb->make();
        }
    }

    [[nodiscard]] const OptionEntry* find(std::string_view name) const {
        const auto* own = invocation_.options ? invocation_.options->find(name) : nullptr;
        return own != nullptr ? own : globals_.find(name);
    }

    static Completion value_of(const OptionSpec& spec, const std::string& typed, std::string kept) {
        Completion result{{}, spec.completes, typed, std::move(kept)};
        if (spec.completes == Completes::words) {
            result.wanted = Completes::nothing;
            for (const auto& word : spec.words) {
                if (word.starts_with(typed)) {
                    result.candidates.push_back({result.kept + word, ""});
                }
            }
        }
        return result;
    }

    [[nodiscard]] Completion complete_option(const std::string& word) const {
        const auto equals = word.find('=');
        if (equals != std::string::npos) {
            const auto* entry = find(word.substr(0, equals));
            return entry == nullptr
                       ? Completion{}
                       : value_of(entry->spec, word.substr(equals + 1), word.substr(0, equals + 1));
        }
        Completion result;
        if (invocation_.options) {
            add_options(result, *invocation_.options, word);
        }
        add_options(result, globals_, word);
        if (std::string_view{"--help"}.starts_with(word)) {
            result.candidates.push_back({"--help", "Print help and exit"});
        }
        return result;
    }

    void add_options(Completion& result, const OptionSet& set, const std::string& word) const {
        for (const auto& entry : set.entries()) {
            const auto& spec = entry->spec;
            const bool is_spent = given_.contains(spec.name) && !spec.is_repeatable;
            if (!spec.is_argument() && !is_spent && spec.name.starts_with(word)) {
                result.candidates.push_back({spec.name, spec.help});
            }
        }
    }

    [[nodiscard]] Completion complete_verb(const std::string& word) const {
        Completion result;
        const auto prefix = path_.empty() ? "" : path_ + " ";
        std::set<std::string> seen;
        for (const auto& verb : table_.verbs) {
            if (verb.is_hidden || !verb.path.starts_with(prefix + word)) {
                continue;
            }
            const auto rest = verb.path.substr(prefix.size());
            const auto next = rest.substr(0, rest.find(' '));
            const auto* group = prefix.empty() ? table_.find_group(next) : nullptr;
            if (seen.insert(next).second) {
                result.candidates.push_back(
                    {next, group != nullptr ? group->summary : verb.summary});
            }
        }
        return result;
    }

    [[nodiscard]] Completion complete_argument(const std::string& word) const {
        std::size_t position = 0;
        for (const auto& entry : invocation_.options->entries()) {
            if (!entry->spec.is_argument()) {
                continue;
            }
            if (position++ == arguments_ || entry->spec.is_repeatable) {
                return value_of(entry->spec, word, "");
            }
        }
        return {};
    }

    const VerbTable& table_;
    GlobalOptions unused_;
    OptionSet globals_;
    std::string path_;
    Invocation invocation_; // of the verb, once it is complete
    const OptionEntry* awaiting_ = nullptr;
    std::set<std::string> given_;
    std::size_t arguments_ = 0;
    bool is_literal_ = false;
};

} // namespace

Completion complete(const VerbTable& table, std::span<const std::string> words) {
    if (words.empty()) {
        return {};
    }
    Reader reader{table};
    for (const auto& word : words.first(words.size() - 1)) {
        reader.read(word);
    }
    return reader.complete(words.back());
}

std::optional<std::string> find_option_value(std::span<const std::string> words,
                                             std::string_view name) {
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string_view word{words[i]};
        if (word == name && i + 1 < words.size()) {
            return words[i + 1];
        }
        if (word.starts_with(name) && word.substr(name.size()).starts_with('=')) {
            return std::string{word.substr(name.size() + 1)};
        }
    }
    return std::nullopt;
}

} // namespace vfskit::vfsctl
