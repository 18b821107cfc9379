// SPDX-License-Identifier: Apache-2.0
// Room control, floor 1.
// Is: the protocol of a daemon's control socket, both ends: one JSON request per line, one JSON
//     reply per line, over a UNIX stream socket.
// Knows: what a daemon tells about itself, JSON and Prometheus text, where the sockets are.
// Does not know: FUSE, how a daemon counts, or what a command prints.
#pragma once

#include "core/control/client.h"
#include "core/control/daemon_sockets.h"
#include "core/control/migration_report.h"
#include "core/control/prometheus.h"
#include "core/control/rates.h"
#include "core/control/server.h"
#include "core/control/status.h"
