// SPDX-License-Identifier: GPL-2.0
/* Holds a mediated device, such as mtty's: vfio_hold [--request[=INDEX]] UUID */
#include "hold.h"

int main(int argc, char **argv)
{
	return hold_main(argc, argv, VFIO_PCI_REQ_IRQ_INDEX, NULL);
}
