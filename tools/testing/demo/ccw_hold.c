// SPDX-License-Identifier: GPL-2.0
/*
 * Runs SENSE ID on the I/O device of a subchannel, then holds the subchannel's mediated device:
 * ccw_hold [--request[=INDEX]] UUID
 */
#include <endian.h>
#include <linux/vfio_ccw.h>
#include <sys/mman.h>

#include "hold.h"

#define CMD_SENSE_ID	0xe4
#define CCW_SLI		0x20		/* suppress the length indication */
#define ORB_FLAGS	0x00c0ff00	/* CCWs of format 1, prefetched; any path */
#define SCSW_START	0x00004000

/* The guest address of its memory, and its contents. */
#define MEMORY		0x10000
#define MEMORY_SIZE	0x2000
#define PROGRAM		MEMORY
#define DATA		(MEMORY + 0x1000)

static uint8_t *map_memory(int container)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = MEMORY,
		.size = MEMORY_SIZE,
	};
	void *memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		err(1, "mmap");
	map.vaddr = (uintptr_t)memory;
	if (ioctl(container, VFIO_IOMMU_MAP_DMA, &map))
		err(1, "VFIO_IOMMU_MAP_DMA");
	return memory;
}

/* Runs one channel program: write the region, wait for the eventfd, read the region. */
static void sense_id(const struct held *held)
{
	uint8_t *memory = map_memory(held->container);
	uint32_t ccw[] = { htobe32(CMD_SENSE_ID << 24 | CCW_SLI << 16 | 7), htobe32(DATA) };
	uint32_t orb[] = { 0, htobe32(ORB_FLAGS), htobe32(PROGRAM) };
	uint32_t scsw[] = { htobe32(SCSW_START), 0, 0 };
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_CCW_CONFIG_REGION_INDEX,
	};
	int done = register_eventfd(held->device, VFIO_CCW_IO_IRQ_INDEX);
	struct ccw_io_region region = { };
	uint8_t *data = memory + DATA - MEMORY;
	uint64_t count;

	if (ioctl(held->device, VFIO_DEVICE_GET_REGION_INFO, &info))
		err(1, "VFIO_DEVICE_GET_REGION_INFO");
	memcpy(memory, ccw, sizeof(ccw));
	memcpy(region.orb_area, orb, sizeof(orb));
	memcpy(region.scsw_area, scsw, sizeof(scsw));
	if (pwrite(held->device, &region, sizeof(region), info.offset) != sizeof(region))
		err(1, "the start of the channel program");
	if (read(done, &count, sizeof(count)) != sizeof(count))
		err(1, "eventfd");
	if (pread(held->device, &region, sizeof(region), info.offset) != sizeof(region))
		err(1, "the response");
	memcpy(scsw, region.irb_area, sizeof(scsw));
	printf("SENSE ID: device status %02x, subchannel status %02x, ",
	       be32toh(scsw[2]) >> 24, be32toh(scsw[2]) >> 16 & 0xff);
	printf("data %02x %02x%02x %02x %02x%02x %02x\n",
	       data[0], data[1], data[2], data[3], data[4], data[5], data[6]);
	/* Channel end and device end; the data of SENSE ID begin with ff. */
	if (be32toh(scsw[2]) >> 16 != 0x0c00 || data[0] != 0xff)
		errx(1, "the device did not answer SENSE ID");
}

int main(int argc, char **argv)
{
	return hold_main(argc, argv, VFIO_CCW_REQ_IRQ_INDEX, sense_id);
}
