// SPDX-License-Identifier: GPL-2.0-only
/*
 * One variable of each type of cio_private.h. Never linked: layout_check.sh
 * reads the layouts that the compiler gave them.
 */
#include "cio_private.h"

static struct io_subchannel_private layout_io_subchannel_private __used;
static struct subchannel layout_subchannel __used;
static struct css_driver layout_css_driver __used;
static struct chp_link layout_chp_link __used;
static enum sch_todo layout_sch_todo __used;
