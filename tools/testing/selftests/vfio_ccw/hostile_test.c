// SPDX-License-Identifier: GPL-2.0
/*
 * Threads start channel programs while others unmap the memory of their data.
 * Each unmap must end soon, whichever thread wins, and the host must go on.
 */
#include "kselftest_harness.h"
#include "life.h"
#include "mdev/call.h"

/* The memory that comes and goes: a range for each thread that unmaps it */
#define RANGE		0x1000000U
#define RANGE_SIZE	8192U

/* How long threads race */
#define RACE_MS		15000

/* The longest unmap on a busy machine */
#define UNMAP_MS	(5000 * time_scale())

#define NR_STARTERS	8
#define NR_MAPPERS	4

FIXTURE(hostile)
{
	struct life life;
};

FIXTURE_SETUP(hostile)
{
	if (!life_set_up(_metadata, &self->life, CU_RNG))
		SKIP(return, "no device %s", CU_RNG);
	ASSERT_EQ(0, ccw_open(&self->life.ccw));
}

FIXTURE_TEARDOWN(hostile)
{
	if (!self->life.ccw.memory)
		return;
	life_tear_down(_metadata, &self->life);
}

/* A thread that goes on until it is told to stop */
struct racer {
	const struct ccw *ccw;
	const bool *stop;
	__u32 at;		/* its program, or its range */
	void *memory;
	bool idle;		/* the others run first, if they can */
	const int *pinner;	/* another device, which pins its range */
	long rounds;
	__s64 longest;
	int error;
	pthread_t thread;
};

static bool racer_stops(const struct racer *racer)
{
	return __atomic_load_n(racer->stop, __ATOMIC_RELAXED);
}

static void *run_starter(void *arg)
{
	struct racer *racer = arg;

	while (!racer_stops(racer))
		if (!ccw_start(racer->ccw, ORB_FORMAT1, racer->at))
			racer->rounds++;
	return NULL;
}

/* A start needs the last response to be fetched first */
static void *run_reader(void *arg)
{
	struct racer *racer = arg;
	struct response response;

	while (!racer_stops(racer))
		if (!read_irb(racer->ccw, &response))
			racer->rounds++;
	return NULL;
}

static void racer_unmap(struct racer *racer)
{
	__s64 start = watch_ms();
	int ret = vfio_unmap(&racer->ccw->user, racer->at, RANGE_SIZE);
	__s64 took = watch_ms() - start;

	if (took > racer->longest)
		racer->longest = took;
	if (ret)
		racer->error = ret;
}

static void *run_mapper(void *arg)
{
	struct sched_param param = { .sched_priority = 0 };
	struct racer *racer = arg;
	int ret = 0;

	if (racer->idle)
		ret = sched_setscheduler(0, SCHED_IDLE, &param);
	if (ret)
		racer->error = -errno;
	while (!racer_stops(racer) && !racer->error) {
		ret = vfio_map(&racer->ccw->user, racer->memory, racer->at,
			       RANGE_SIZE);
		if (!ret && racer->pinner)
			ret = relay_pin(*racer->pinner, MDEV_RELAY_PIN,
					racer->at, 1);
		if (ret)
			racer->error = ret;
		else
			racer_unmap(racer);
		racer->rounds++;
	}
	return NULL;
}

static __u32 range(int i)
{
	return RANGE + i * 2 * RANGE_SIZE;
}

/* Each program reads the device's SENSE ID into one of the ranges */
static void put_programs(const struct ccw *ccw, int ranges)
{
	int i;

	for (i = 0; i < ranges; i++)
		put_ccw(ccw, PROGRAM + i * 0x1000, CMD_SENSE_ID, CCW_SLI,
			RANGE_SIZE, range(i));
}

static void start_racer(struct __test_metadata *_metadata, struct racer *racer,
			void *(*run)(void *arg))
{
	ASSERT_EQ(0, pthread_create(&racer->thread, NULL, run, racer));
}

static void expect_unmapped(struct __test_metadata *_metadata,
			    const struct racer *mapper)
{
	EXPECT_EQ(0, mapper->error);
	EXPECT_LT(0, mapper->rounds);
	/* If a thread lets all others run first, its unmaps may take longer */
	if (!mapper->idle)
		EXPECT_GT(UNMAP_MS, mapper->longest);
}

/* Runs starters and @ranges mappers. The mappers run last if @last */
static void race(struct __test_metadata *_metadata, const struct ccw *ccw,
		 int ranges, bool last)
{
	struct racer starters[NR_STARTERS], mappers[NR_MAPPERS], reader;
	bool stop = false;
	long started = 0;
	int i;

	put_programs(ccw, ranges);
	reader = (struct racer){ .ccw = ccw, .stop = &stop };
	start_racer(_metadata, &reader, run_reader);
	for (i = 0; i < NR_STARTERS; i++) {
		starters[i] = (struct racer){
			.ccw = ccw, .stop = &stop,
			.at = PROGRAM + i % ranges * 0x1000,
		};
		start_racer(_metadata, &starters[i], run_starter);
	}
	for (i = 0; i < ranges; i++) {
		mappers[i] = (struct racer){
			.ccw = ccw, .stop = &stop, .at = range(i), .idle = last,
			.memory = guest(ccw, DATA + i * 0x10000),
		};
		start_racer(_metadata, &mappers[i], run_mapper);
	}
	usleep(RACE_MS * 1000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < ranges; i++) {
		pthread_join(mappers[i].thread, NULL);
		expect_unmapped(_metadata, &mappers[i]);
	}
	for (i = 0; i < NR_STARTERS; i++) {
		pthread_join(starters[i].thread, NULL);
		started += starters[i].rounds;
	}
	pthread_join(reader.thread, NULL);
	EXPECT_LT(0, started);
	EXPECT_EQ(0, ccw_reset(ccw));
	expect_usable(_metadata, ccw);
}

TEST_F_TIMEOUT(hostile, range_can_be_unmapped_while_programs_start, 120)
{
	if (self->life.ccw.kernels_own)
		SKIP(return, "the kernel's own stops the machine");
	race(_metadata, &self->life.ccw, 1, false);
}

TEST_F_TIMEOUT(hostile, ranges_are_unmapped_while_programs_start, 120)
{
	if (self->life.ccw.kernels_own)
		SKIP(return, "the kernel's own stops the machine");
	race(_metadata, &self->life.ccw, NR_MAPPERS, false);
}

/* VFIO looks repeatedly for pinned pages. The others run in between */
TEST_F_TIMEOUT(hostile, range_is_unmapped_when_nothing_else_runs, 120)
{
	if (self->life.ccw.kernels_own)
		SKIP(return, "the kernel's own stops the machine");
	race(_metadata, &self->life.ccw, 1, true);
}

/* Puts one CCW after the other, so that translating them takes a while */
static void put_long_program(const struct ccw *ccw)
{
	__u32 addr = PROGRAM;
	int i;

	for (i = 0; i < 100; i++)
		addr = put_ccw(ccw, addr, CMD_SENSE_ID, CCW_SLI | CCW_CC, 64,
			       DATA + i * 0x2000);
	put_ccw(ccw, addr, CMD_SENSE_ID, CCW_SLI, 64, DATA);
}

/* VFIO tells all devices of a container about an unmap of pinned memory */
TEST_F_TIMEOUT(hostile, other_memory_that_goes_away_fails_no_program, 120)
{
	struct ccw *ccw = &self->life.ccw;
	struct vfio_user other = VFIO_USER_NONE;
	struct uuid uuid = uuid_new();
	struct racer mapper = {
		.ccw = ccw, .at = range(0),
		.memory = guest(ccw, DATA), .pinner = &other.device,
	};
	__s64 end = now_ms() + RACE_MS / 3;
	struct response response;
	bool stop = false;
	long started = 0;
	int ret;

	if (ccw->kernels_own)
		SKIP(return, "the kernel's own stops the machine");
	ASSERT_EQ(0, mdev_create("mdev_relay.0", "mdev_relay-relay", &uuid));
	other.group = vfio_open_group(&uuid, ccw->user.container);
	ASSERT_LE(0, other.group);
	other.device = vfio_get_device(&other, &uuid);
	ASSERT_LE(0, other.device);
	mapper.stop = &stop;
	put_long_program(ccw);
	start_racer(_metadata, &mapper, run_mapper);
	while (now_ms() < end) {
		ret = ccw_start(ccw, ORB_FORMAT1, PROGRAM);
		EXPECT_TRUE(!ret || ret == -EBUSY) {
			TH_LOG("the start ended with %d", ret);
		}
		if (ret && ret != -EBUSY)
			break;
		started += !ret;
		read_irb(ccw, &response);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(mapper.thread, NULL);
	EXPECT_EQ(0, mapper.error);
	EXPECT_LT(0, mapper.rounds);
	EXPECT_LT(0, started);
	EXPECT_EQ(0, ccw_reset(ccw));
	expect_usable(_metadata, ccw);
	vfio_close(&other);
	EXPECT_EQ(0, mdev_remove(&uuid));
}

TEST_HARNESS_MAIN
