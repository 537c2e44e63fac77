// Package detection turns a vendor's alert into detections, by format files that are data.
package detection
