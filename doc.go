// Package trunkline holds the tests that look at the module as a whole: who may import whom, and whether the pages
// under docs say what the tree shows. The program is in cmd/trunkline.
package trunkline
