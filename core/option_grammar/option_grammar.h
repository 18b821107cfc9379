// SPDX-License-Identifier: Apache-2.0
// Room option_grammar, floor 1.
// Is: the small languages in the values of virtiofsd's options: --xattrmap, --translate-uid and
//     --translate-gid, --modcaps. Text in, values or an error that names the mistake out.
// Knows: what the words mean.
// Does not know: which daemon refuses what, and how a rule is applied to a request.
#pragma once

#include "core/option_grammar/capability_changes.h"
#include "core/option_grammar/id_translation.h"
#include "core/option_grammar/xattr_rules.h"
