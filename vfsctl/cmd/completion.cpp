// SPDX-License-Identifier: Apache-2.0
// The scripts know nothing of verbs and options: they ask "vfsctl complete words", so that they
// never lag behind the program.
#include "vfsctl/cmd/completion.h"

#include "vfsctl/services.h"

namespace vfskit::vfsctl {

namespace {

// Bash cuts words at ':' and '=', vfsctl does not: the words are taken from the line again, and of
// a candidate only what follows the last such character goes back.
constexpr std::string_view bash_script = R"bash(# bash completion for vfsctl
_vfsctl() {
    local line=${COMP_LINE:0:COMP_POINT} current kept="" word
    local -a words=()
    read -r -a words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    current=${words[${#words[@]} - 1]}
    if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
        kept=${current%"${current##*:}"}
    fi
    if [[ $current == *=* && $COMP_WORDBREAKS == *=* ]]; then
        word=${current%"${current##*=}"}
        ((${#word} > ${#kept})) && kept=$word
    fi
    COMPREPLY=()
    while IFS=$'\t' read -r word _; do
        case $word in
            :file | :directory)
                compopt -o filenames 2>/dev/null
                while IFS= read -r word; do
                    COMPREPLY+=("$word")
                done < <(if [[ $word == :file ]]; then
                    compgen -f -- "${current#--*=}"
                else
                    compgen -d -- "${current#--*=}"
                fi)
                ;;
            :nospace) compopt -o nospace 2>/dev/null ;;
            ?*) COMPREPLY+=("${word#"$kept"}") ;;
        esac
    done < <("$1" complete words -- "${words[@]:1}" 2>/dev/null)
}
complete -F _vfsctl vfsctl
)bash";

constexpr std::string_view zsh_script = R"zsh(#compdef vfsctl
_vfsctl() {
    local line word
    integer ret=1
    local -a candidates displays suffix
    for line in "${(@f)$("${words[1]}" complete words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            :file) compset -P '--*='; _files && ret=0 ;;
            :directory) compset -P '--*='; _files -/ && ret=0 ;;
            :nospace) suffix=(-S '') ;;
            ?*)
                word=${line%%$'\t'*}
                candidates+=("$word")
                if [[ $line == *$'\t'* ]]; then
                    displays+=("$word  -- ${line#*$'\t'}")
                else
                    displays+=("$word")
                fi
                ;;
        esac
    done
    (( $#candidates )) && compadd $suffix -l -d displays -- $candidates && ret=0
    return ret
}
if [[ $funcstack[1] == _vfsctl ]]; then
    _vfsctl "$@"
else
    compdef _vfsctl vfsctl
fi
)zsh";

constexpr std::string_view fish_script = R"fish(# fish completion for vfsctl
function __vfsctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    for line in ($program complete words -- $words "$current" 2>/dev/null)
        switch $line
            case ':file'
                __fish_complete_path (string replace -r -- '^--[^=]*=' '' $current)
            case ':directory'
                __fish_complete_directories (string replace -r -- '^--[^=]*=' '' $current)
            case ':*'
            case '*'
                echo $line
        end
    end
end
complete -c vfsctl -f -a '(__vfsctl_complete)'
)fish";

void bind(CompletionOptions& options, OptionSet& set) {
    const std::vector<std::string> shells{"bash", "zsh", "fish"};
    set.value({.name = "SHELL",
               .help = "bash, zsh or fish",
               .completes = Completes::words,
               .words = shells,
               .is_required = true},
              options.shell,
              [shells](std::string_view word) { return parse_word(word, shells); });
}

} // namespace

Verb completion_verb() {
    return make_verb<CompletionOptions>(
        {.path = "completion",
         .summary = "Print the completion script of a shell",
         .description = "Packages install the scripts; this is for everybody else.",
         .examples = R"(
source <(vfsctl completion bash)
vfsctl completion zsh > ~/.zfunc/_vfsctl
vfsctl completion fish > ~/.config/fish/completions/vfsctl.fish)"},
        bind,
        run_completion);
}

Result<ExitCode> run_completion(const CompletionOptions& options, Services& services) {
    services.output.print(options.shell == "bash"  ? bash_script
                          : options.shell == "zsh" ? zsh_script
                                                   : fish_script);
    return ExitCode::ok;
}

} // namespace vfskit::vfsctl
