/* SPDX-License-Identifier: GPL-2.0-only */
/* Tracepoints: the life of a mediated device, and the requests for its release */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mdev

#if !defined(_MDEV_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MDEV_TRACE_H

#include <linux/tracepoint.h>
#include <linux/uuid.h>

/* One that ended with @ret: 0 or a negative errno */
DECLARE_EVENT_CLASS(mdev_result,
	TP_PROTO(const guid_t *uuid, int ret),
	TP_ARGS(uuid, ret),
	TP_STRUCT__entry(
		__array(u8, uuid, 16)
		__field(int, ret)
	),
	TP_fast_assign(
		memcpy(__entry->uuid, uuid, 16);
		__entry->ret = ret;
	),
	TP_printk("uuid=%pUl ret=%d", __entry->uuid, __entry->ret)
);

DEFINE_EVENT(mdev_result, mdev_create,
	TP_PROTO(const guid_t *uuid, int ret),
	TP_ARGS(uuid, ret)
);

DEFINE_EVENT(mdev_result, mdev_open,
	TP_PROTO(const guid_t *uuid, int ret),
	TP_ARGS(uuid, ret)
);

/* A removal ended: done, or given up */
DEFINE_EVENT(mdev_result, mdev_remove,
	TP_PROTO(const guid_t *uuid, int ret),
	TP_ARGS(uuid, ret)
);

TRACE_EVENT(mdev_close,
	TP_PROTO(const guid_t *uuid),
	TP_ARGS(uuid),
	TP_STRUCT__entry(
		__array(u8, uuid, 16)
	),
	TP_fast_assign(
		memcpy(__entry->uuid, uuid, 16);
	),
	TP_printk("uuid=%pUl", __entry->uuid)
);

/* The holder is asked to release the device; @count as in the ops' request */
TRACE_EVENT(mdev_request,
	TP_PROTO(const guid_t *uuid, unsigned int count, pid_t holder),
	TP_ARGS(uuid, count, holder),
	TP_STRUCT__entry(
		__array(u8, uuid, 16)
		__field(unsigned int, count)
		__field(pid_t, holder)
	),
	TP_fast_assign(
		memcpy(__entry->uuid, uuid, 16);
		__entry->count = count;
		__entry->holder = holder;
	),
	TP_printk("uuid=%pUl count=%u holder=%d", __entry->uuid,
		  __entry->count, __entry->holder)
);

/* It was taken from its holder */
TRACE_EVENT(mdev_revoke,
	TP_PROTO(const guid_t *uuid, pid_t holder),
	TP_ARGS(uuid, holder),
	TP_STRUCT__entry(
		__array(u8, uuid, 16)
		__field(pid_t, holder)
	),
	TP_fast_assign(
		memcpy(__entry->uuid, uuid, 16);
		__entry->holder = holder;
	),
	TP_printk("uuid=%pUl holder=%d", __entry->uuid, __entry->holder)
);

#endif /* _MDEV_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE mdev_trace
#include <trace/define_trace.h>
