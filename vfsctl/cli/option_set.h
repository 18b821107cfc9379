// SPDX-License-Identifier: Apache-2.0
// What a verb takes: its options and arguments, each beside its help text and the variable that it
// fills. One description serves the parser (CLI11), --help, the completions and the man pages.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vfskit::vfsctl {

/// What the shell can offer for a value.
enum class Completes { nothing, words, mapping_id, node, node_path, file, directory };

/// One option or positional argument as people see it.
struct OptionSpec {
    std::string name = {}; ///< "--method"; of an argument its placeholder, "ID"
    std::string value =
        {};                ///< placeholder of the value, "METHOD"; empty for a flag and an argument
    std::string help = {}; ///< one or two sentences without a full stop at the end
    Completes completes = Completes::nothing;
    std::vector<std::string> words = {}; ///< the allowed values, where they are a fixed set
    std::string short_name = {};         ///< "-q"
    bool is_required = false;
    bool is_repeatable = false;

    [[nodiscard]] bool is_argument() const { return name.front() != '-'; }
    [[nodiscard]] bool is_flag() const { return !is_argument() && value.empty(); }
};

/// A description and what becomes of the words that were given for it.
struct OptionEntry {
    OptionSpec spec;
    /// Takes the words (none for a flag) into the bound variable. Not called when absent.
    std::function<Result<void>(const std::vector<std::string>&)> take;
    std::vector<std::string> given = {}; ///< the parser's raw words
    bool was_given = false;
};

/// The options of one verb, in the order of --help. References that are bound must outlive parsing.
class OptionSet {
public:
    OptionSet& flag(OptionSpec spec, bool& target);
    OptionSet& text(OptionSpec spec, std::string& target);
    OptionSet& text(OptionSpec spec, std::optional<std::string>& target);
    OptionSet& list(OptionSpec spec, std::vector<std::string>& target);

    /// A value that `parse` (string_view -> Result<T>) understands; its errors name the option.
    template <class T, class Parse>
    OptionSet& value(OptionSpec&& spec, std::optional<T>& target, Parse parse) {
        return single(std::move(spec), [&target, parse](std::string_view word) -> Result<void> {
            VFSKIT_TRY_ASSIGN(target, parse(word));
            return {};
        });
    }
    template <class T, class Parse>
    OptionSet& value(OptionSpec&& spec, T& target, Parse parse) {
        return single(std::move(spec), [&target, parse](std::string_view word) -> Result<void> {
            VFSKIT_TRY_ASSIGN(target, parse(word));
            return {};
        });
    }
    /// Values that `parse` understands, one per occurrence.
    template <class T, class Parse>
    OptionSet& values(OptionSpec spec, std::vector<T>& target, Parse parse) {
        spec.is_repeatable = true;
        return add(std::move(spec), [&target, parse](const auto& words) -> Result<void> {
            for (const auto& word : words) {
                VFSKIT_TRY_ASSIGN(auto parsed, parse(word));
                target.push_back(std::move(parsed));
            }
            return {};
        });
    }
    OptionSet& number(OptionSpec spec,
                      std::optional<std::uint32_t>& target,
                      std::uint32_t max = std::numeric_limits<std::uint32_t>::max());
    OptionSet& number(OptionSpec spec,
                      std::optional<std::uint64_t>& target,
                      std::uint64_t max = std::numeric_limits<std::uint64_t>::max());
    /// A number of bytes as base::parse_size() reads it, "4G".
    OptionSet& size(OptionSpec spec, std::optional<std::uint64_t>& target);

    [[nodiscard]] const std::vector<std::unique_ptr<OptionEntry>>& entries() const {
        return entries_;
    }
    /// The entry with this name, or nullptr.
    [[nodiscard]] const OptionEntry* find(std::string_view name) const;

    /// Hands every given word to its variable; the error names the option.
    Result<void> take_all();

private:
    using Take = std::function<Result<void>(const std::vector<std::string>&)>;
    OptionSet& add(OptionSpec spec, Take take);
    OptionSet& single(OptionSpec spec, std::function<Result<void>(std::string_view)> take);

    std::vector<std::unique_ptr<OptionEntry>> entries_; // pointers: the parser refers to `given`
};

/// EINVAL unless `word` is one of `words`; says what is allowed and, where one is near, "did you
/// mean".
Result<std::string> parse_word(std::string_view word, const std::vector<std::string>& words);

} // namespace vfskit::vfsctl
